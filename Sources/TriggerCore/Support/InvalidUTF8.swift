/// Where bytes stop being UTF-8 text. Who takes text from outside refuses such bytes: repaired ones would make
/// one name, key or value of two that differ.
package struct InvalidUTF8: Error, Hashable, CustomStringConvertible {
  /// From 0.
  package var offset: Int
  /// The first that does not belong there.
  package var byte: UInt8

  /// For who wrote the bytes: places count from 1.
  package var description: String {
    let digits = String(byte, radix: 16)
    return "not UTF-8 text: 0x\(digits.count == 1 ? "0" : "")\(digits) at byte \(offset + 1)"
  }
}

extension String {
  /// Bytes as text, as they are.
  ///
  /// - Throws: where they are none: among these are overlong forms, surrogates and what is beyond U+10FFFF
  ///   (RFC 3629, section 3).
  package init(text bytes: some Collection<UInt8>) throws(InvalidUTF8) {
    if let text = String(validating: bytes, as: UTF8.self) {
      self = text
      return
    }
    var iterator = bytes.makeIterator()
    var parser = Unicode.UTF8.ForwardParser()
    var offset = 0
    while case .valid(let scalar) = parser.parseScalar(from: &iterator) { offset += scalar.count }
    throw InvalidUTF8(offset: offset, byte: bytes[bytes.index(bytes.startIndex, offsetBy: offset)])
  }
}
