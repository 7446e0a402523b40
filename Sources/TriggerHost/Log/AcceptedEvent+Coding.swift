import TriggerCore

extension AcceptedEvent {
  /// The event in the form in which the log keeps it: a CBOR array.
  package var encoded: [UInt8] {
    let buffer = CBORBuffer(capacity: 256)
    buffer.array(12)
    buffer.int(id.epoch)
    buffer.int(id.number)
    LogCoding.write(key, to: buffer)
    buffer.uint(UInt64(kind.index))
    buffer.text(name)
    buffer.blob(payload)
    if let priority { buffer.uint(UInt64(priority.rawValue)) } else { buffer.null() }
    buffer.uint(source)
    buffer.array(triggers.count + 1)
    buffer.int(admitted)
    for trigger in triggers { buffer.text(trigger) }
    if let retryOf { buffer.int(retryOf) } else { buffer.null() }
    LogCoding.write(sender, to: buffer)
    buffer.uint(UInt64(hops))
    return Array(buffer.bytes)
  }

  /// - Throws: `LogDamage` when the bytes are not what `encoded` gives.
  package init(decoding bytes: UnsafeRawBufferPointer) throws(LogDamage) {
    var reader = CBORReader(bytes)
    let fields = try reader.array()
    self.init(
      id: EventID(epoch: try reader.int(), number: try reader.int()), key: try LogCoding.key(&reader),
      kind: try LogCoding.eventKind(&reader), name: try reader.text(), payload: Array(try reader.blob()),
      priority: reader.null() ? nil : Priority(rawValue: UInt8(clamping: try reader.uint())),
      source: try reader.uint(), admitted: 0, triggers: [])
    let count = try reader.array()
    admitted = try reader.int()
    for _ in 1..<max(1, count) { triggers.append(try reader.text()) }
    // Nine before format 4.
    if fields < 12 { return }
    retryOf = reader.null() ? nil : try reader.int()
    sender = try LogCoding.sender(&reader)
    hops = try reader.count()
  }
}
