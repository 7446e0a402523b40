/// The value of one member of a JSON object, found while the text goes by: for text that is too long to be kept, or wrong.
package struct JSONMember {
  /// The text of the value, once it has gone by; nil when it is a container, or longer than `longest`.
  package private(set) var value: [UInt8]?

  private enum Place { case beforeKey, inKey, afterKey, beforeValue, inValue, elsewhere }

  private static let longest = 1024
  private let name: [UInt8]
  private var place = Place.elsewhere
  private var depth = 0
  private var isInString = false
  private var isEscaped = false
  private var text: [UInt8] = []

  package init(_ name: String) { self.name = Array(name.utf8) }

  /// Takes the next bytes of the text.
  package mutating func read(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { read(byte) }
  }

  private mutating func read(_ byte: UInt8) {
    if isInString { return readInString(byte) }
    switch byte {
    case UInt8(ascii: "\""):
      isInString = true
      if place == .beforeKey { begin(.inKey) } else if place == .beforeValue { begin(.inValue) }
      keep(byte)
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      depth += 1
      place = depth == 1 && byte == UInt8(ascii: "{") ? .beforeKey : .elsewhere
    case UInt8(ascii: "}"), UInt8(ascii: "]"):
      finish()
      depth -= 1
      place = .elsewhere
    case UInt8(ascii: ","):
      finish()
      place = depth == 1 ? .beforeKey : .elsewhere
    case UInt8(ascii: ":"): place = place == .afterKey && text == name ? .beforeValue : .elsewhere
    case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): break
    default:
      if place == .beforeValue { begin(.inValue) }
      keep(byte)
    }
  }

  private mutating func readInString(_ byte: UInt8) {
    if isEscaped {
      isEscaped = false
    } else if byte == UInt8(ascii: "\\") {
      isEscaped = true
    } else if byte == UInt8(ascii: "\"") {
      isInString = false
      if place == .inKey {
        text.removeFirst()
        place = .afterKey
        return
      }
    }
    keep(byte)
  }

  private mutating func begin(_ place: Place) {
    self.place = place
    text = []
  }

  private mutating func keep(_ byte: UInt8) {
    guard place == .inKey || place == .inValue, text.count <= Self.longest else { return }
    text.append(byte)
  }

  private mutating func finish() {
    if place == .inValue, depth == 1, text.count <= Self.longest { value = text }
  }
}
