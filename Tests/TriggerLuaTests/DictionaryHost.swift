import TriggerCore
import TriggerLua

/// A host over dictionaries: stores by name, files by path. One worker, one thread.
final class DictionaryHost {
  struct Change: Equatable {
    var action: CommitAction<String>
    var key: String
    var value: String
  }

  final class Store {
    let name: String
    var values: [String: UnsafeMutableBufferPointer<UInt8>] = [:]
    init(_ name: String) { self.name = name }
  }

  final class Cursor {
    var entries: [(UnsafeMutableBufferPointer<CChar>, UnsafeMutableBufferPointer<UInt8>)]
    init(_ entries: [(UnsafeMutableBufferPointer<CChar>, UnsafeMutableBufferPointer<UInt8>)]) {
      self.entries = entries
    }
  }

  var files: [String: String] = [:]
  var stores: [String: Store] = [:]
  var logs: [String] = []
  /// Called with every line that is logged.
  var whenLogged: () -> Void = {}
  var limits = LuaLimits(memoryBytes: 8 << 20, valueBytes: 100_000, valueDepth: 20, intents: 100)
  /// What an attempt believes that this host holds for it.
  let held = UnsafeMutablePointer<Int>.allocate(capacity: 1)
  /// How much more that is after each read.
  var heldPerRead = 0
  private var cursors: [Cursor] = []
  private(set) var worker: LuaWorker!
  private var trees: [LuaWorker.Tree] = []
  let output = LuaOutput()

  init() {
    worker = LuaWorker(host: dictionaryFunctions)
    worker.bind()
    held.initialize(to: 0)
  }

  deinit {
    for tree in trees { worker.free(tree) }
    held.deallocate()
  }

  var pointer: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

  static func from(_ pointer: UnsafeMutableRawPointer?) -> DictionaryHost {
    Unmanaged<DictionaryHost>.fromOpaque(pointer!).takeUnretainedValue()
  }

  func store(_ name: String) -> Store {
    if let store = stores[name] { return store }
    let store = Store(name)
    stores[name] = store
    return store
  }

  func set(_ name: String, _ key: String, _ hex: String) {
    let bytes = Array(hex: hex)
    let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes.count)
    _ = copy.initialize(from: bytes)
    store(name).values[key] = copy  // lives for the test; cursors may point into it
  }

  func scan(_ store: Store, prefix: String) -> UnsafeMutableRawPointer {
    let keys = store.values.keys.filter { $0.hasPrefix(prefix) }.sorted {
      Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8))
    }
    let cursor = Cursor(
      keys.map { key in
        let copy = UnsafeMutableBufferPointer<CChar>.allocate(capacity: key.utf8.count)
        _ = copy.initialize(from: key.utf8.map { CChar(bitPattern: $0) })
        return (copy, store.values[key]!)
      }.reversed())
    cursors.append(cursor)
    return Unmanaged.passUnretained(cursor).toOpaque()
  }

  /// The tree loaded last, and a new one of the same files.
  func newTree() -> (old: LuaWorker.Tree, new: LuaWorker.Tree) {
    let old = trees.last!
    trees.append(worker.makeTree(context: pointer, commitNanoseconds: 5_000_000_000, seed: 7)!)
    return (old, trees.last!)
  }

  func load(_ source: String, path: String = "triggers/test.lua") throws -> LuaWorker.Trigger {
    files[path] = source
    let tree = worker.makeTree(context: pointer, commitNanoseconds: 5_000_000_000, seed: 7)!
    trees.append(tree)
    return try worker.load(path, of: tree, limits: limits)
  }

  /// Runs once and gives the returned changes; `put` and `delete` are applied.
  func run(_ trigger: LuaWorker.Trigger, event: String = "a0", seed: UInt64 = 1) throws -> [Change] {
    let event = Array(hex: event)
    let status = "test".utf8.withContiguousStorageIfAvailable { name in
      event.withUnsafeBytes { event in
        worker.run(
          trigger, attempt: pointer,
          info: LuaAttemptInfo(
            seq: 12, admissionNanoseconds: 1_500_000_000, randomSeed: seed,
            trigger: UnsafeRawBufferPointer(name), eventName: UnsafeRawBufferPointer(name), heldBytes: held),
          event: event, limits: limits, output: output)
      }
    }!
    guard status == .ok else { throw Failure(status: status, text: worker.errorText) }
    return (0..<output.count).map { place in
      let intent = output[place]
      let change = Change(
        action: intent.action.mapStore { Unmanaged<Store>.fromOpaque($0).takeUnretainedValue().name },
        key: String(decoding: intent.key, as: UTF8.self), value: intent.value.hex)
      if case .change(.put, let store) = change.action { set(store, change.key, change.value) }
      if case .change(.delete, let store) = change.action { self.store(store).values[change.key] = nil }
      return change
    }
  }

  /// Loads a body of `execute(event, ctx)` and runs it once.
  func execute(_ body: String, event: String = "a0") throws -> [Change] {
    try run(load("return { execute = function(event, ctx)\n\(body)\nend }"), event: event)
  }

  /// The encoding of a Lua expression.
  func encode(_ expression: String) throws -> String {
    try execute("return ctx:store('s'):put('k', \(expression))")[0].value
  }

  /// The error text of a body; empty when it succeeds.
  func failure(_ body: String) -> String {
    do {
      _ = try execute(body)
      return ""
    } catch let error as Failure {
      return error.text
    } catch {
      return "\(error)"
    }
  }
}

struct Failure: Error {
  var status: LuaWorker.Status
  var text: String
}

private let dictionaryFunctions = LuaHostFunctions(
  store: { attempt, name, length, permanent, refused in
    let name = String(decoding: UnsafeRawBufferPointer(start: name, count: length), as: UTF8.self)
    if name == "refused" {
      refused?.pointee = refusal
      return nil
    }
    permanent?.pointee = name.hasPrefix("passing") ? 0 : 1
    return Unmanaged.passUnretained(DictionaryHost.from(attempt).store(name)).toOpaque()
  },
  get: { attempt, store, key, keyLength, length in
    let host = DictionaryHost.from(attempt)
    host.held.pointee += host.heldPerRead
    let store = Unmanaged<DictionaryHost.Store>.fromOpaque(store!).takeUnretainedValue()
    let key = String(decoding: UnsafeRawBufferPointer(start: key, count: keyLength), as: UTF8.self)
    guard let value = store.values[key] else { return nil }
    length?.pointee = value.count
    return UnsafePointer(value.baseAddress)
  },
  scanBegin: { attempt, store, prefix, length in
    DictionaryHost.from(attempt).scan(
      Unmanaged<DictionaryHost.Store>.fromOpaque(store!).takeUnretainedValue(),
      prefix: String(decoding: UnsafeRawBufferPointer(start: prefix, count: length), as: UTF8.self))
  },
  scanNext: { cursor, key, keyLength, value, valueLength in
    let cursor = Unmanaged<DictionaryHost.Cursor>.fromOpaque(cursor!).takeUnretainedValue()
    guard let entry = cursor.entries.popLast() else { return 0 }
    key?.pointee = UnsafePointer(entry.0.baseAddress)
    keyLength?.pointee = entry.0.count
    value?.pointee = UnsafePointer(entry.1.baseAddress)
    valueLength?.pointee = entry.1.count
    return 1
  },
  count: { _, store, prefix, length in
    let prefix = String(decoding: UnsafeRawBufferPointer(start: prefix, count: length), as: UTF8.self)
    let store = Unmanaged<DictionaryHost.Store>.fromOpaque(store!).takeUnretainedValue()
    return Int64(store.values.keys.filter { $0.hasPrefix(prefix) }.count)
  },
  version: { _, _ in 9 },
  log: { attempt, level, message, length, fields, fieldsLength, place in
    guard let attempt else { return }
    let text = String(decoding: UnsafeRawBufferPointer(start: message, count: length), as: UTF8.self)
    let fields = fields.map { UnsafeRawBufferPointer(start: $0, count: fieldsLength).hex } ?? ""
    let host = DictionaryHost.from(attempt)
    host.logs.append("\(String(cString: level!)) \(String(cString: place!)) \(text) \(fields)")
    host.whenLogged()
  },
  source: { context, path, length in
    guard let text = DictionaryHost.from(context).files[String(cString: path!)] else { return nil }
    let bytes = Array(text.utf8CString)
    let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)  // small, and the tests end
    copy.initialize(from: bytes, count: bytes.count)
    length?.pointee = bytes.count - 1
    return UnsafePointer(copy)
  })

nonisolated(unsafe) private let refusal: UnsafePointer<CChar> = {
  let bytes = "not in the config".utf8CString
  let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
  copy.initialize(from: Array(bytes), count: bytes.count)
  return UnsafePointer(copy)
}()

extension Array where Element == UInt8 {
  init(hex: String) {
    self = stride(from: 0, to: hex.utf8.count, by: 2).map { at in
      let start = hex.index(hex.startIndex, offsetBy: at)
      return UInt8(hex[start..<hex.index(start, offsetBy: 2)], radix: 16)!
    }
  }
}

extension UnsafeRawBufferPointer {
  var hex: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
