import Foundation
import TriggerCore
import TriggerHost
import TriggerLua

/// Evaluates Lua on a snapshot, piece by piece: the sandbox of a trigger with `ctx`, whose intents are shown and never
/// applied. Used by the thread that makes it, but for `interrupt`.
package final class Repl {
  package enum Outcome: Sendable, Equatable {
    case done
    /// More lines are needed.
    case incomplete
    /// Message and traceback.
    case failed(String)
    /// Ended by `interrupt`.
    case interrupted
    /// The line asks for the end of the session.
    case end
  }

  /// What it has to say, a line or more of text each time.
  package enum Output: Sendable, Equatable {
    case value(String)
    /// An intent, or a list of them.
    case change(String)
    case log(level: String, String)
    /// Why something may not have done what was meant.
    case hint(String)
  }

  private let lua: LuaWorker
  private let sources: ScriptSources
  private let tree: LuaWorker.Tree
  /// Freed before its tree.
  private var session: LuaSession?
  private let snapshot: Snapshot
  private let stores: SnapshotReader
  private let output = LuaOutput()
  private let modules: [String]
  private let say: (Output) -> Void
  private var answer: [UInt8] = []
  private var ownNames: [String] = []
  /// Names that were local to pieces before this one.
  private var forgotten: Set<String> = []
  /// Those of them that this piece has looked for in vain.
  private var missed: Set<String> = []
  /// Stores that this piece has opened and the snapshot lacks.
  private var unknown: Set<String> = []

  /// - Parameters:
  ///   - scripts: where `require` finds modules.
  ///   - say: gets what is printed, on the thread that evaluates.
  package init(_ snapshot: Snapshot, scripts: ScriptTree, say: @escaping (Output) -> Void) {
    self.snapshot = snapshot
    self.say = say
    stores = SnapshotReader(snapshot)
    sources = ScriptSources(scripts.contents)
    modules = scripts.modules
    guard let lua = LuaWorker(host: Self.functions),
      let tree = lua.makeTree(
        context: Unmanaged.passUnretained(sources).toOpaque(), commitNanoseconds: snapshot.time, seed: 0)
    else { fatalError("no memory for a Lua state") }
    self.lua = lua
    self.tree = tree
    lua.bind()
    do {
      session = try LuaSession(lua, tree: tree, prelude: LuaSources.prelude(PackageResources.repl_lua))
    } catch { fatalError("the prelude of the REPL: \(error)") }
  }

  deinit {
    session = nil
    lua.free(tree)
  }

  /// Ends what is being evaluated, and that only, and waits for its end. False when nothing is. Any thread.
  package var interrupt: @Sendable () -> Bool {
    let control = lua.control
    return {
      let running = control.running
      if running == 0 { return false }
      while control.running == running {
        control.kill(running, reason: .cancelled)
        usleep(1000)
      }
      return true
    }
  }

  /// Evaluates lines: an expression is printed (a `=` before it does no harm), statements are run.
  package func evaluate(_ text: String) -> Outcome {
    // What is piped in may be a file with a byte order mark.
    var text = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    if text.hasPrefix("=") { text.removeFirst() }
    if text.allSatisfy(\.isWhitespace) { return .done }
    if let answer = word(text.trimmingCharacters(in: .whitespaces)) { return answer }
    let asExpression = run("return \(text)")
    if asExpression != .notLua && asExpression != .incomplete { return outcome(asExpression) }
    let asStatement = run(text)
    if asStatement == .incomplete || asStatement == .notLua && asExpression == .incomplete {
      return .incomplete
    }
    if asStatement != .notLua { forgotten.formUnion(LuaTokens(Array(text.utf8)).outerLocals) }
    return outcome(asStatement)
  }

  /// Words that other consoles know, unless the session has given them a meaning.
  private func word(_ text: String) -> Outcome? {
    if text == "help" {
      say(.value(Help.general))
      return .done
    }
    guard text == "exit" || text == "quit" else { return nil }
    _ = run(nil, wish: "names")
    return ownNames.contains(text) ? nil : .end
  }

  private func takeHints() -> [String] {
    defer { (missed, unknown) = ([], []) }
    return missed.sorted().map {
      "'\($0)' was a local of an earlier line, and was gone with it: leave out 'local' to keep it"
    }
      + unknown.sorted().map { name in
        "nothing was ever in a store '\(name)'"
          + Suggestion.clause(for: name, among: snapshot.stores.keys.sorted())
      }
  }

  private func run(_ text: String?, wish: String = "") -> LuaWorker.Status {
    var name = "repl"
    return name.withUTF8 { name in
      let name = UnsafeRawBufferPointer(name)
      return session!.run(
        text.map { Array($0.utf8) }, name: "=repl", argument: CanonicalEncoding.encode(.string(wish)),
        attempt: Unmanaged.passUnretained(self).toOpaque(),
        info: LuaAttemptInfo(
          seq: snapshot.seq, admissionNanoseconds: snapshot.time, randomSeed: 0, trigger: name,
          eventName: name),
        limits: LuaLimits(memoryBytes: 512 << 20, outputBytes: 64 << 20), output: output)
    }
  }

  private func outcome(_ status: LuaWorker.Status) -> Outcome {
    let hints = takeHints()
    switch status {
    case .ok:
      for hint in hints { say(.hint(hint)) }
      return .done
    case .killed: return .interrupted
    default:
      let text = lua.errorText.withoutFrames(of: "[session]").withoutIdleTraceback
      return .failed(([text] + hints).joined(separator: "\n"))
    }
  }

  // MARK: Completion

  /// What may follow at the end of `text`, each as the whole last word, and where that word begins (in characters).
  package func completions(of text: String) -> (start: Int, words: [String]) {
    _ = run(nil, wish: "names")
    return Completion(
      stores: snapshot.stores.keys.sorted(),
      modules: modules.map { String($0.dropLast(4)).replacing("/", with: ".") },
      globals: ownNames
    ).candidates(at: text)
  }

  // MARK: What Lua calls

  private static func of(_ pointer: UnsafeMutableRawPointer?) -> Repl {
    Unmanaged<Repl>.fromOpaque(pointer!).takeUnretainedValue()
  }

  private func open(_ name: String) -> UnsafeMutableRawPointer {
    if snapshot.stores[name] == nil { unknown.insert(name) }
    return stores.handle(name)
  }

  private static func text(_ pointer: UnsafePointer<CChar>?, _ count: Int) -> String {
    String(decoding: UnsafeRawBufferPointer(start: pointer, count: count), as: UTF8.self)
  }

  private static let functions = LuaHostFunctions(
    store: { repl, name, count, permanent, refused in
      permanent!.pointee = 1
      return Repl.of(repl).open(Repl.text(name, count))
    },
    get: { repl, store, key, count, length in
      Repl.of(repl).stores.value(store, Repl.text(key, count), length!)
    },
    scanBegin: { repl, store, prefix, count in Repl.of(repl).stores.beginScan(store, Repl.text(prefix, count))
    },
    scanNext: { cursor, key, keyLength, value, valueLength in
      SnapshotReader.next(cursor, key!, keyLength!, value!, valueLength!) ? 1 : 0
    },
    count: { repl, store, prefix, count in Int64(Repl.of(repl).stores.count(store, Repl.text(prefix, count)))
    },
    version: { repl, store in Repl.of(repl).stores.version(store) },
    log: { repl, level, message, count, fields, fieldsCount, _ in
      guard let repl else { return }
      let bytes = UnsafeRawBufferPointer(start: fields, count: fieldsCount)
      let shown = fields.flatMap { _ in try? CanonicalEncoding.decode(bytes) }
      let text = Repl.text(message, count) + (shown.map { " \($0)" } ?? "")
      Repl.of(repl).say(.log(level: String(cString: level!), text))
    },
    source: { sources, path, length in
      let sources = Unmanaged<ScriptSources>.fromOpaque(sources!).takeUnretainedValue()
      guard let text = sources.text(String(cString: path!)) else { return nil }
      length!.pointee = text.count
      return text.baseAddress
    },
    call: { repl, name, count, argument, argumentCount, result, resultCount in
      let repl = Repl.of(repl)
      let argument = UnsafeRawBufferPointer(start: argument, count: argumentCount)
      guard let value = try? CanonicalEncoding.decode(argument),
        let answer = repl.reply(Repl.text(name, count), value)
      else { return 0 }
      repl.answer = CanonicalEncoding.encode(answer)
      result!.pointee = repl.answer.withUnsafeBufferPointer { $0.baseAddress }
      resultCount!.pointee = repl.answer.count
      return 0
    })

  private func reply(_ name: String, _ argument: Value) -> Value? {
    switch (name, argument) {
    case ("print", .map(let fields)):
      guard case .string(let text)? = fields["text"] else { return nil }
      say(fields["is_change"] == .bool(true) ? .change(text) : .value(text))
    case ("names", .array(let names)):
      ownNames = names.compactMap { if case .string(let name) = $0 { name } else { nil } }
    case ("missing", .string(let name)): if forgotten.contains(name) { missed.insert(name) }
    case ("help", .map(let fields)):
      guard case .string(let topic)? = fields["topic"] else { return .string(Help.general) }
      return .string(Help.text(on: topic))
    default: break
    }
    return nil
  }
}

/// Stores of a snapshot as Lua reads them: encoded, keys in byte order. One thread.
private final class SnapshotReader {
  final class Store {
    let version: Int64
    let keys: [[UInt8]]
    let values: [[UInt8]]

    init(_ store: Snapshot.Store) {
      version = store.version
      let items = store.content.map { (Array($0.key.utf8), $0.value) }
        .sorted { $0.0.lexicographicallyPrecedes($1.0) }
      keys = items.map(\.0)
      values = items.map { CanonicalEncoding.encode($0.1) }
    }

    /// The places of keys with a prefix. O(log keys + those).
    func range(_ prefix: [UInt8]) -> Range<Int> {
      let start = lowerBound(prefix)
      let end = keys[start...].firstIndex { !$0.starts(with: prefix) } ?? keys.endIndex
      return start..<end
    }

    func lowerBound(_ key: [UInt8]) -> Int {
      var (low, high) = (0, keys.count)
      while low < high {
        let middle = (low + high) / 2
        if keys[middle].lexicographicallyPrecedes(key) { low = middle + 1 } else { high = middle }
      }
      return low
    }
  }

  final class Cursor {
    let store: Store
    var rest: Range<Int>
    init(_ store: Store, _ range: Range<Int>) { (self.store, rest) = (store, range) }
  }

  private var stores: [String: Store] = [:]
  /// They live as long as the reader: a REPL makes few.
  private var cursors: [Cursor] = []

  init(_ snapshot: Snapshot) { stores = snapshot.stores.mapValues { Store($0) } }

  /// A store that is not there is empty, as in a host that is not strict.
  func handle(_ name: String) -> UnsafeMutableRawPointer {
    let store = stores[name] ?? Store(Snapshot.Store(version: 0, content: [:]))
    stores[name] = store
    return Unmanaged.passUnretained(store).toOpaque()
  }

  private static func store(_ pointer: UnsafeMutableRawPointer?) -> Store {
    Unmanaged<Store>.fromOpaque(pointer!).takeUnretainedValue()
  }

  func value(
    _ pointer: UnsafeMutableRawPointer?, _ key: String, _ length: UnsafeMutablePointer<Int>
  ) -> UnsafePointer<UInt8>? {
    let store = Self.store(pointer)
    let key = Array(key.utf8)
    let place = store.lowerBound(key)
    guard place < store.keys.count, store.keys[place] == key else { return nil }
    length.pointee = store.values[place].count
    return store.values[place].withUnsafeBufferPointer { $0.baseAddress }
  }

  func beginScan(_ pointer: UnsafeMutableRawPointer?, _ prefix: String) -> UnsafeMutableRawPointer {
    let store = Self.store(pointer)
    let cursor = Cursor(store, store.range(Array(prefix.utf8)))
    cursors.append(cursor)
    return Unmanaged.passUnretained(cursor).toOpaque()
  }

  static func next(
    _ pointer: UnsafeMutableRawPointer?, _ key: UnsafeMutablePointer<UnsafePointer<CChar>?>,
    _ keyLength: UnsafeMutablePointer<Int>, _ value: UnsafeMutablePointer<UnsafePointer<UInt8>?>,
    _ valueLength: UnsafeMutablePointer<Int>
  ) -> Bool {
    let cursor = Unmanaged<Cursor>.fromOpaque(pointer!).takeUnretainedValue()
    guard let place = cursor.rest.popFirst() else { return false }
    // The arrays are never changed, so their storage stays where it is.
    let keyBytes = cursor.store.keys[place].withUnsafeBytes { $0 }
    key.pointee = keyBytes.baseAddress?.assumingMemoryBound(to: CChar.self)
    keyLength.pointee = keyBytes.count
    value.pointee = cursor.store.values[place].withUnsafeBufferPointer { $0.baseAddress }
    valueLength.pointee = cursor.store.values[place].count
    return true
  }

  func count(_ pointer: UnsafeMutableRawPointer?, _ prefix: String) -> Int {
    Self.store(pointer).range(Array(prefix.utf8)).count
  }

  func version(_ pointer: UnsafeMutableRawPointer?) -> Int64 { Self.store(pointer).version }
}
