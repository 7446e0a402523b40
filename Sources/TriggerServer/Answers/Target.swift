import HTTPTypes
import Hummingbird
import TriggerCore

/// The target of a request (RFC 3986), taken apart: strictly, as two readings of one target are a hole.
enum Target {
  /// The text of a piece of a path or query; nil when an escape or the text is broken. A plus sign is one.
  static func decoded(_ piece: some StringProtocol) -> String? {
    if !piece.utf8.contains(UInt8(ascii: "%")) { return String(piece) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(piece.utf8.count)
    var rest = piece.utf8.makeIterator()
    while let byte = rest.next() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard let high = rest.next().flatMap(digit), let low = rest.next().flatMap(digit) else { return nil }
      bytes.append(high << 4 | low)
    }
    return String(validating: bytes, as: UTF8.self)
  }

  /// The text as a piece of a path or query: all but the unreserved characters escaped (RFC 3986, section 2.3).
  static func encoded(_ text: String) -> String {
    var result = ""
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        result.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        result += "%" + (digits.count == 1 ? "0" : "") + digits
      }
    }
    return result
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}

extension Request {
  /// What of the path comes after so many segments, decoded: names and keys may hold slashes, plain or escaped.
  ///
  /// - Throws: `Problem`, `bad_request`; `not_found` when nothing comes.
  func rest(after segments: Int) throws -> String {
    let (path, slash) = (uri.path, UInt8(ascii: "/"))
    var rest = path.utf8[...]
    for _ in 0..<segments {
      rest = rest.drop { $0 == slash }.drop { $0 != slash }
    }
    rest = rest.dropFirst()
    if rest.isEmpty { throw Problem(.notFound) }
    guard let text = Target.decoded(Substring(rest)) else {
      throw Problem(.badRequest, "the path has a broken escape, or is not UTF-8")
    }
    return text
  }

  /// One segment of the path, from 0, decoded.
  ///
  /// - Throws: `Problem`, `bad_request`.
  func segment(_ index: Int) throws -> String {
    let segments = uri.path.split(separator: "/")
    guard index < segments.count, let text = Target.decoded(segments[index]) else {
      throw Problem(.badRequest, "the path has a broken escape, or is not UTF-8")
    }
    return text
  }

  /// - Throws: `Problem`, `bad_query`.
  func query(_ known: String...) throws -> Query { try Query(uri.query, known: known) }
}

/// The parameters behind the `?`, each at most once.
struct Query {
  private var values: [String: String] = [:]

  /// What something else says in the same words.
  init(_ values: [String: String]) { self.values = values }

  /// - Parameter known: the names that mean something here: a misspelt one is refused, not passed over.
  /// - Throws: `Problem`, `bad_query`.
  init(_ text: String?, known: [String]) throws {
    for part in (text ?? "").utf8.split(separator: UInt8(ascii: "&")) {
      let name = part.prefix { $0 != UInt8(ascii: "=") }
      var value = String(Substring(part[name.endIndex...].dropFirst()))
      // As forms and `URLSearchParams` write a space.
      if value.utf8.contains(UInt8(ascii: "+")) { value = value.replacing("+", with: " ") }
      guard let name = Target.decoded(Substring(name)), let value = Target.decoded(value) else {
        throw Problem(.badQuery, "the query has a broken escape, or is not UTF-8")
      }
      guard known.contains(name) else {
        let names = known.isEmpty ? "there is none here" : "there are \(known.joined(separator: ", "))"
        throw Problem(
          .badQuery, "unknown parameter '\(name)'; \(Suggestion.hint(for: name, among: known) ?? names)")
      }
      guard values.updateValue(value, forKey: name) == nil else {
        throw Problem(.badQuery, "the parameter '\(name)' is given twice")
      }
    }
  }

  subscript(name: String) -> String? { values[name] }

  /// - Throws: `Problem`, `bad_query`.
  func integer(_ name: String, in range: ClosedRange<Int64>) throws -> Int64? {
    guard let text = values[name] else { return nil }
    guard let number = Int64(text), range.contains(number) else {
      let bounds =
        range.upperBound == .max
        ? "of at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
      throw Problem(.badQuery, "'\(name)' is a whole number \(bounds), got '\(text.prefix(40))'")
    }
    return number
  }

  /// - Throws: `Problem`, `bad_query`.
  func word<Word>(_ name: String, _ words: KeyValuePairs<String, Word>) throws -> Word? {
    guard let text = values[name] else { return nil }
    guard let word = words.first(where: { $0.key == text }) else {
      let known = words.map(\.key)
      throw Problem(
        .badQuery,
        "'\(name)' is \(known.dropLast().joined(separator: ", ")) or \(known.last ?? ""), got '\(text.prefix(40))'"
      )
    }
    return word.value
  }
}
