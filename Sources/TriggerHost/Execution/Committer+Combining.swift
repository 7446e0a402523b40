import TriggerCore

/// Commutative intents: what they make of the value that is there. Each costs what it brings: what is there is not
/// decoded, and only copied once, when all of its key are known.
extension Committer {
  package func combine(
    _ change: ChangeKind, _ write: UnsafeMutablePointer<WriteSet.Write>, at place: Int,
    in table: Unmanaged<StoreTable>, into stage: inout CommitStage
  ) throws(Failure) {
    let slot = stage.slot(of: write, in: table)
    switch change {
    case .append, .appendText:
      let chain = try chain(change, write, behind: stage, slot)
      if chain.size > limits.encodedBytes {
        throw Failure(
          .intent,
          "\(change) at \(stage.name(slot)): the value would take \(chain.size) bytes, "
            + "the limit is \(limits.encodedBytes)")
      }
      stage.extend(slot, chain, by: place)
    default: stage.set(slot, .number(try number(change, write, stage, slot)))
    }
  }

  // MARK: Numbers

  private func number(
    _ change: ChangeKind, _ write: UnsafeMutablePointer<WriteSet.Write>, _ stage: CommitStage, _ slot: Int
  ) throws(Failure) -> Value {
    let operand = UnsafeRawBufferPointer(write.pointee.operand)
    let old = try oldNumber(change, stage, slot)
    guard let new = Self.number(operand) else {
      throw Failure(
        .intent,
        "\(change) at \(stage.name(slot)): expected a number, got \(try item(operand).kindName(operand))")
    }
    guard let old else { return new }
    switch (old, new) {
    case (.int(let a), .int(let b)) where change == .add:
      let (sum, overflow) = a.addingReportingOverflow(b)
      if overflow {
        throw Failure(.intent, "add at \(stage.name(slot)): \(a) + \(b) does not fit in 64 bits")
      }
      return .int(sum)
    default:
      let (x, y) = (old.asDouble, new.asDouble)
      return change == .add ? .double(x + y) : (change == .max ? y > x : y < x) ? new : old
    }
  }

  /// The number at a slot, nil when nothing is there.
  private func oldNumber(
    _ change: ChangeKind, _ stage: CommitStage, _ slot: Int
  ) throws(Failure) -> Value? {
    let wrong: String
    switch stage.slots[slot].change {
    case .number(let value): return value
    case .chain(let chain): wrong = stage.kindName(chain)
    default:
      guard let encoded = stage.encoded(slot) else { return nil }
      if let number = Self.number(encoded) { return number }
      wrong = try item(encoded).kindName(encoded)
    }
    throw Failure(.intent, "\(change) at \(stage.name(slot)): the value there is \(wrong), expected a number")
  }

  private static func number(_ encoded: UnsafeRawBufferPointer) -> Value? {
    // No number takes more: what is there may be a long list.
    guard encoded.count <= 9, let value = try? CanonicalEncoding.decode(encoded) else { return nil }
    switch value {
    case .int, .double: return value
    default: return nil
    }
  }

  /// A list of one integer to be added to another, the commonest of those that look at the state: without a stage, which
  /// is a tenth of what such an operation costs. Returns false, and has done nothing, when the list is another.
  package func applySum(_ writes: borrowing WriteSet, seq: Int64) -> Bool {
    let write = writes.writes
    guard writes.count == 1, writes.isByKey, !writes.hasStandIns,
      case .change(.add, let table) = write.pointee.action, let entry = write.pointee.entry,
      !entry.pointee.isUnlinked,
      let old = Entry.visible(entry, at: .max), !old.isDeleted,
      case .int(let a) = Self.number(Version.value(old)),
      case .int(let b) = Self.number(UnsafeRawBufferPointer(write.pointee.operand))
    else { return false }
    let (sum, overflow) = a.addingReportingOverflow(b)
    if overflow { return false }
    let version = CanonicalEncoding.encode(.int(sum)).withUnsafeBytes {
      Version.make($0.baseAddress, count: $0.count)
    }
    table._withUnsafeGuaranteedRef { table in
      table.put(
        version, content: Version.content(version, of: write.pointee.keyBytes), to: entry, seq: seq,
        reclaim: reclaimer)
    }
    return true
  }

  // MARK: Appends

  /// The chain of a slot with one more intent at its end, which is not in it yet.
  private func chain(
    _ change: ChangeKind, _ write: UnsafeMutablePointer<WriteSet.Write>, behind stage: CommitStage,
    _ slot: Int
  ) throws(Failure) -> CommitStage.Chain {
    let operand = UnsafeRawBufferPointer(write.pointee.operand)
    let new = try item(operand)
    // What is appended lies one level deeper than it was prepared.
    if change == .append, Int(write.pointee.depth) >= limits.depth {
      throw Failure(.intent, "append at \(stage.name(slot)): nested deeper than \(limits.depth) levels")
    }
    var chain = try started(change, stage, slot, new.kindName(operand), isString: new.isString)
    if change == .append {
      chain.count += 1
      chain.bytes += operand.count
      return chain
    }
    guard new.isString else {
      throw Failure(
        .intent, "append_text at \(stage.name(slot)): expected a string, got \(new.kindName(operand))")
    }
    chain.count += new.count
    chain.bytes += new.count
    chain.hasBytes = chain.hasBytes || new.kind == .bytes
    return chain
  }

  /// The chain of a slot, or one that begins with what is there.
  private func started(
    _ change: ChangeKind, _ stage: CommitStage, _ slot: Int, _ operand: @autoclosure () -> String,
    isString: Bool
  ) throws(Failure) -> CommitStage.Chain {
    let isText = change == .appendText
    let wrong: String
    switch stage.slots[slot].change {
    case .chain(let chain):
      if chain.isText == isText { return chain }
      wrong = stage.kindName(chain)
    case .number: wrong = "a number"
    default:
      guard let encoded = stage.encoded(slot) else {
        return CommitStage.Chain(
          isText: isText, base: UnsafeRawBufferPointer(start: nil, count: 0), count: 0, bytes: 0, first: -1,
          last: -1)
      }
      let old = try item(encoded)
      if isText ? old.isString : old.kind == .array {
        let base = UnsafeRawBufferPointer(rebasing: encoded[old.headSize...])
        return CommitStage.Chain(
          isText: isText, base: base, count: old.count, bytes: base.count, hasBytes: old.kind == .bytes,
          first: -1, last: -1)
      }
      wrong = old.kindName(encoded)
    }
    if isText, !isString {
      throw Failure(.intent, "append_text at \(stage.name(slot)): expected a string, got \(operand())")
    }
    throw Failure(
      .intent,
      "\(change) at \(stage.name(slot)): the value there is \(wrong), expected "
        + (isText ? "a string" : "an array"))
  }

  private func item(_ encoded: UnsafeRawBufferPointer) throws(Failure) -> EncodedItem {
    guard let item = EncodedItem(encoded) else { throw Failure(.intent, "a stored value is damaged") }
    return item
  }
}

extension CommitStage {
  /// How messages name the key of a slot.
  package func name(_ slot: Int) -> String {
    let table = slots[slot].table._withUnsafeGuaranteedRef { $0.name }
    return "\(table)/\(String(decoding: slots[slot].key, as: UTF8.self))"
  }

  fileprivate func kindName(_ chain: Chain) -> String {
    if !chain.isText { return "an array" }
    let made = version(chain)
    defer { Version.free(made) }
    return EncodedItem(Version.value(made))?.kind == .text ? "a string" : "a byte string"
  }
}

extension Value {
  fileprivate var asDouble: Double {
    switch self {
    case .int(let value): Double(value)
    case .double(let value): value
    default: .nan
    }
  }
}

extension EncodedItem {
  fileprivate var isString: Bool { kind == .text || kind == .bytes }

  fileprivate func kindName(_ encoded: UnsafeRawBufferPointer) -> String {
    switch kind {
    case .integer: "a number"
    case .text: "a string"
    case .bytes: "a byte string"
    case .array: "an array"
    case .map: "a map"
    case .simple:
      encoded[0] == 0xf6 ? "null" : encoded[0] == 0xf4 || encoded[0] == 0xf5 ? "a boolean" : "a number"
    }
  }
}
