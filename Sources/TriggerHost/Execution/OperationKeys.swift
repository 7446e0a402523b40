import TriggerCore

/// The order key and the coalesce key of an operation, as hashes. Equal keys may not overtake each other;
/// two different ones that collide lose nothing but parallelism.
package struct OperationKeys {
  package var order: UInt64
  /// 0: does not coalesce.
  package var coalesce: UInt64 = 0
  /// Whose gate it passes; 0: none.
  package var gate: UInt64 = 0

  package init(trigger: LoadedTrigger, source: UInt64, payload: UnsafeBufferPointer<UInt8>) {
    order = Self.mix(UInt64(trigger.index) &+ 1, source)
    if trigger.isPlain { return }
    let options = trigger.options
    if options.isGated { gate = Self.mix(UInt64(trigger.index) &+ 1, 3) | 1 }
    guard options.orderBy != nil || options.coalesce != nil else { return }
    let event = try? CanonicalEncoding.decode(UnsafeRawBufferPointer(payload))
    if let path = options.orderBy {
      order = Self.hash(trigger, 1, Self.value(at: path, in: event))
      if options.isGated { gate = order | 1 }
    }
    if let path = options.coalesce { coalesce = Self.hash(trigger, 2, Self.value(at: path, in: event)) | 1 }
  }

  private static func value(at path: [String], in event: Value?) -> Value? {
    var value = event
    for name in path {
      guard case .map(let fields)? = value else { return nil }
      value = fields[name]
    }
    return path.isEmpty ? nil : value
  }

  private static func hash(_ trigger: LoadedTrigger, _ purpose: UInt64, _ value: Value?) -> UInt64 {
    let start = mix(UInt64(trigger.index) &+ 1, purpose)
    guard let value else { return start }
    return CanonicalEncoding.encode(value).withUnsafeBufferPointer {
      mix(start, KeyHash.of($0.baseAddress!, count: $0.count))
    }
  }

  private static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = (a ^ 0x9e37_79b9_7f4a_7c15).multipliedFullWidth(by: b ^ 0xe703_7ed1_a0b4_28db)
    return product.high ^ product.low
  }
}
