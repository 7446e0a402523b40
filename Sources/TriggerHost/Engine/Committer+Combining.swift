import TriggerCore

/// Commutative intents: what they make of the value that is there.
extension Committer {
  func combine(
    _ kind: IntentKind, current: UnsafeMutablePointer<Version>?, operand: UnsafeBufferPointer<UInt8>,
    at place: () -> String
  ) throws(Failure) -> UnsafeMutablePointer<Version> {
    let old = try current.flatMap { version throws(Failure) in
      version.isDeleted
        ? nil
        : try decode(UnsafeBufferPointer(start: Version.bytes(version), count: Int(version.pointee.length)))
    }
    let new: Value
    // What is appended lies one level deeper than it was prepared.
    if kind == .append, CBORReader.depth(of: UnsafeRawBufferPointer(operand)) >= limits.depth {
      throw Failure(message: "append at \(place()): nested deeper than \(limits.depth) levels")
    }
    switch (old, try decode(operand)) {
    case (let old, let end) where kind == .appendText:
      guard let text = (old ?? .string("")).text(followedBy: end) else {
        let wrong = end.isText ? "the value there is \(old!.kindName), expected a string" : nil
        throw Failure(
          message: "append_text at \(place()): \(wrong ?? "expected a string, got \(end.kindName)")")
      }
      new = text
    case (nil, let value) where kind == .append: new = .array([value])
    case (nil, let value):
      guard value.number != nil else {
        throw Failure(message: "\(kind) at \(place()): expected a number, got \(value.kindName)")
      }
      new = value
    case (.array(let items)?, let value) where kind == .append: new = .array(items + [value])
    case (.int(let a)?, .int(let b)) where kind == .add:
      let (sum, overflow) = a.addingReportingOverflow(b)
      if overflow { throw Failure(message: "add at \(place()): \(a) + \(b) does not fit in 64 bits") }
      new = .int(sum)
    case (let a?, let b) where kind != .append:
      guard let x = a.number, let y = b.number else {
        throw Failure(message: "\(kind) at \(place()): the value there is \(a.kindName), expected a number")
      }
      switch kind {
      case .add: new = .double(x + y)
      case .max: new = y > x ? b : a
      default: new = y < x ? b : a
      }
    case (let a?, _):
      throw Failure(message: "append at \(place()): the value there is \(a.kindName), expected an array")
    }
    let bytes = CanonicalEncoding.encode(new)
    if bytes.count > limits.encodedBytes {
      throw Failure(
        message:
          "\(kind) at \(place()): the value would take \(bytes.count) bytes, the limit is \(limits.encodedBytes)"
      )
    }
    return bytes.withUnsafeBytes { Version.make($0.baseAddress, count: $0.count) }
  }

  private func decode(_ bytes: UnsafeBufferPointer<UInt8>) throws(Failure) -> Value {
    do { return try CanonicalEncoding.decode(UnsafeRawBufferPointer(bytes)) } catch {
      throw Failure(message: "a stored value is damaged: \(error)")
    }
  }
}

extension Value {
  /// Integers and floats as a double, nil for anything else.
  fileprivate var number: Double? {
    switch self {
    case .int(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }

  /// Strings and byte strings as one: a string when it is UTF-8. Nil when one of them is neither.
  fileprivate func text(followedBy end: Value) -> Value? {
    if case .string(let text) = self, case .string(let more) = end { return .string(text + more) }
    guard let start = stringBytes, let end = end.stringBytes else { return nil }
    let bytes = start + end
    return String(validating: bytes, as: UTF8.self).map { .string($0) } ?? .bytes(bytes)
  }

  fileprivate var isText: Bool { stringBytes != nil }

  private var stringBytes: [UInt8]? {
    switch self {
    case .string(let text): Array(text.utf8)
    case .bytes(let bytes): bytes
    default: nil
    }
  }

  fileprivate var kindName: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .int, .double: "a number"
    case .string: "a string"
    case .bytes: "a byte string"
    case .array: "an array"
    case .map: "a map"
    }
  }
}
