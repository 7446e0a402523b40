/// How deep and how large a value may be. The depth of a scalar is 0, of `[]` and `{}` 1, of `[[]]` 2.
public struct ValueLimits: Hashable, Sendable {
  /// The deepest nesting by default, shared by values, JSON and the canonical encoding. Decoders and
  /// encoders recurse once per level, so a larger limit needs a larger stack.
  public static let depth = 64
  /// The largest canonical encoding by default, in bytes: 1 MiB.
  public static let encodedBytes = 1 << 20
  /// The limits of stores, events and intents: depth 64, 1 MiB.
  public static let standard = ValueLimits()

  /// Deepest nesting of arrays and maps, counted as said above.
  public var depth: Int
  /// Length of the canonical encoding in bytes.
  public var encodedBytes: Int

  /// The standard limits, but for what is given.
  public init(depth: Int = ValueLimits.depth, encodedBytes: Int = ValueLimits.encodedBytes) {
    self.depth = depth
    self.encodedBytes = encodedBytes
  }
}

extension Value {
  /// Checks the limits and returns the length of the canonical encoding in bytes. O(size), without
  /// encoding.
  ///
  /// Throws `ValueError` with `too_deep` and the path of the first container beyond the depth, or
  /// `too_large` and the path of an innermost value that is too large by itself.
  @discardableResult
  public func validate(_ limits: ValueLimits = .standard) throws(ValueError) -> Int {
    try measure(depthLeft: limits.depth, limits)
  }

  private func measure(depthLeft: Int, _ limits: ValueLimits) throws(ValueError) -> Int {
    let size: Int
    switch self {
    case .array(let elements):
      try checkDepth(depthLeft, limits)
      size = try Self.measure(elements, depthLeft: depthLeft - 1, limits)
    case .map(let entries):
      try checkDepth(depthLeft, limits)
      size = try Self.measure(entries, depthLeft: depthLeft - 1, limits)
    default:
      size = CanonicalEncoding.scalarSize(self)
    }
    guard size <= limits.encodedBytes else {
      throw ValueError(
        .tooLarge, "the value takes \(size) bytes encoded, the limit is \(limits.encodedBytes)", path: "$")
    }
    return size
  }

  private func checkDepth(_ depthLeft: Int, _ limits: ValueLimits) throws(ValueError) {
    guard depthLeft > 0 else {
      throw ValueError(.tooDeep, "nested deeper than \(limits.depth) levels", path: "$")
    }
  }

  private static func measure(
    _ elements: [Value], depthLeft: Int, _ limits: ValueLimits
  ) throws(ValueError) -> Int {
    var size = CanonicalEncoding.headSize(UInt64(elements.count))
    for index in elements.indices {
      do {
        size += try elements[index].measure(depthLeft: depthLeft, limits)
      } catch {
        throw error.inside(index: index)
      }
    }
    return size
  }

  private static func measure(
    _ entries: Value.Map, depthLeft: Int, _ limits: ValueLimits
  ) throws(ValueError) -> Int {
    var size = CanonicalEncoding.headSize(UInt64(entries.count))
    for (key, value) in entries {
      let keyBytes = key.utf8.count
      do {
        size += CanonicalEncoding.headSize(UInt64(keyBytes)) + keyBytes
        size += try value.measure(depthLeft: depthLeft, limits)
      } catch {
        throw error.inside(key: key)
      }
    }
    return size
  }
}
