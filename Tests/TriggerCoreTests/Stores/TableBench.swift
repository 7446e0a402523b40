import TriggerCore

/// A table with its reclaimer, written one seq after another.
final class TableBench: @unchecked Sendable {  // one writer; readers use the table alone
  let table = StoreTable(name: "t")
  let reclaimer = Reclaimer()
  var seq: Int64 = 0

  func commit(_ changes: [[UInt8]: [UInt8]?]) {
    seq += 1
    reclaimer.begin(seq)
    for (key, value) in changes {
      key.withUnsafeBufferPointer { key in
        let hash = KeyHash.of(key.baseAddress!, count: key.count)
        let entry = table.makeEntry(key.baseAddress!, key.count, hash: hash, reclaim: reclaimer)
        let version =
          value.map { value in value.withUnsafeBytes { Version.make($0.baseAddress, count: $0.count) } }
          ?? Version.makeDeleted()
        table.put(
          version, content: Version.content(version, of: key), to: entry, seq: seq, reclaim: reclaimer)
      }
    }
  }

  func get(_ key: [UInt8], at snapshot: Int64) -> [UInt8]? {
    key.withUnsafeBufferPointer { key in
      let hash = KeyHash.of(key.baseAddress!, count: key.count)
      guard let entry = table.entry(key.baseAddress!, key.count, hash: hash),
        let version = Entry.visible(entry, at: snapshot), !version.isDeleted
      else { return nil }
      return Array(UnsafeBufferPointer(start: Version.bytes(version), count: Int(version.pointee.length)))
    }
  }

  func scan(_ prefix: [UInt8], at snapshot: Int64) -> [[UInt8]] {
    var keys: [[UInt8]] = []
    prefix.withUnsafeBufferPointer { prefix in
      table.scan(prefix: prefix, at: snapshot) { entry, _ in
        keys.append(Self.key(entry))
        return true
      }
    }
    return keys
  }

  /// As a walk for a checkpoint goes on behind a key.
  func keys(notBelow key: [UInt8], at snapshot: Int64) -> [[UInt8]] {
    var keys: [[UInt8]] = []
    var cursor = key.withUnsafeBufferPointer { table.firstEntry(notBelow: $0) }
    while let entry = cursor {
      if let version = Entry.visible(entry, at: snapshot), !version.isDeleted { keys.append(Self.key(entry)) }
      cursor = table.nextEntry(entry, prefix: UnsafeBufferPointer(start: nil, count: 0))
    }
    return keys
  }

  static func key(_ entry: UnsafeMutablePointer<Entry>) -> [UInt8] {
    Array(UnsafeBufferPointer(start: Entry.key(entry), count: Int(entry.pointee.keyLength)))
  }
}
