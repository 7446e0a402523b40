import Synchronization
import TriggerCore
import TriggerLua

/// Runs attempts of Lua triggers on one worker: owns its Lua state, and the scripts that state has loaded.
///
/// Lua reads the stores through the C functions below; each gets this object back as its first argument,
/// looks at the attempt in progress, and touches no lock. Worker's thread only, but for `running` and
/// `kill`.
package final class LuaRunner {
  private let lua: LuaWorker
  package let control: LuaWorkerControl
  private let stores: StoreDirectory
  private let hostSeed: UInt64
  private let lineMemory: LineMemory
  private let output = LuaOutput()
  private var limits: LuaLimits
  /// What this state has loaded, by the number of the set; and the set of the newest attempt.
  private var sets: [Int: LoadedSet] = [:]
  private var newest = LoadedSet(number: -1)

  /// One set's scripts. Trees are by number: a replay runs several under set 0.
  private final class LoadedSet {
    let number: Int
    /// With what Lua reads sources from for as long as it has the tree.
    var trees: [Int: (lua: LuaWorker.Tree, loaded: LoadedTree)] = [:]
    /// By place in the set.
    var triggers: [LuaWorker.Trigger?] = []
    init(number: Int) { self.number = number }
  }
  /// The attempt in progress; set for the duration of a run.
  private unowned(unsafe) var attempt: Attempt
  private let noAttempt = Attempt()
  /// Of the triggers in force that are bound to commits; nil: there are none, or nobody has said.
  @exclusivity(unchecked) package var bindings: CommitBindings?
  /// Bytes held for the attempt: Lua counts them as its memory.
  private let held = UnsafeMutablePointer<Int>.allocate(capacity: 1)
  /// Text of the last refusal, kept for as long as Lua looks at it.
  private var refusal: [CChar] = [0]
  /// For those who drive an engine step by step: called before each look at a store, when the functions are
  /// `interruptible`.
  @exclusivity(unchecked) package var interruption: (() -> Void)?

  package init(
    stores: StoreDirectory, _ configuration: EngineConfiguration,
    functions: LuaHostFunctions = LuaRunner.functions, lineMemory: LineMemory = LineMemory()
  ) {
    self.stores = stores
    self.lineMemory = lineMemory
    hostSeed = configuration.seed
    limits = LuaLimits(
      valueBytes: configuration.valueLimits.encodedBytes, valueDepth: configuration.valueLimits.depth,
      intents: Int(configuration.maximumIntents), outputBytes: configuration.maximumOutputBytes)
    attempt = noAttempt
    guard let lua = LuaWorker(host: functions) else { fatalError("no memory for a Lua state") }
    self.lua = lua
    control = lua.control
    held.initialize(to: 0)
  }

  deinit { held.deallocate() }

  /// What the newest kill was for.
  private let wasCancelled = Atomic<Bool>(false)

  package func bind() { lua.bind() }

  package var running: UInt64 { control.running }
  package func kill(_ number: UInt64, cancelled: Bool) {
    wasCancelled.store(cancelled, ordering: .relaxed)
    control.kill(number, reason: cancelled ? .cancelled : .timeout)
  }

  // MARK: One attempt

  /// - Parameter trace: sees each line of the run, not those of a chunk that is only loaded.
  package func run(_ operation: Operation, _ attempt: Attempt, trace: LuaTrace? = nil) {
    limits.memoryBytes = operation.trigger.options.memory
    let script: LuaWorker.Trigger
    // Nothing that all workers share counts a reference here: they would wait for one another's caches.
    if let known = loaded(operation.trigger.position, of: operation.trigger.set) {
      script = known
    } else {
      do throws(LuaWorker.LoadError) { script = try load(operation.trigger) } catch {
        attempt.status = .failed
        attempt.failure = Failure(.error, error.description)
        return
      }
    }
    self.attempt = attempt
    held.pointee = 0
    let status =
      if let trace {
        lua.tracing(with: trace) { execute(script, operation) }
      } else {
        execute(script, operation)
      }
    if status == .ok { prepare(attempt) } else { fail(attempt, status) }
    if let bindings, attempt.writes.count > 0 { attempt.tell(bindings) }
    if status == .ok, output.count == 0, output.prepared > 0 { sayNothingReturned(operation.trigger) }
    self.attempt = noAttempt
  }

  private func execute(_ script: LuaWorker.Trigger, _ operation: Operation) -> LuaWorker.Status {
    lua.run(
      script, attempt: Unmanaged.passUnretained(self).toOpaque(),
      info: LuaAttemptInfo(
        seq: operation.identity, admissionNanoseconds: operation.admitted,
        randomSeed: hostSeed ^ UInt64(bitPattern: operation.identity) &* 0x9e37_79b9_7f4a_7c15,
        trigger: operation.trigger.nameBytes, eventName: UnsafeRawBufferPointer(operation.name),
        heldBytes: held),
      event: UnsafeRawBufferPointer(operation.payload), limits: limits, output: output)
  }

  private func prepare(_ attempt: Attempt) {
    for place in 0..<output.count {
      let intent = output[place]
      attempt.writes.add(
        intent.action.mapStore { .fromOpaque($0) }, key: intent.key.assumingMemoryBound(to: UInt8.self),
        value: intent.value)
    }
  }

  /// The usual mistake of who begins: said once for each version of a trigger.
  private func sayNothingReturned(_ trigger: LoadedTrigger) {
    if trigger.hasReturnedNothing.exchange(true, ordering: .relaxed) { return }
    let count = output.prepared
    var message =
      "execute has prepared \(count) \(count == 1 ? "intent" : "intents") and returned none: nothing changes; return them"
    message.withUTF8 { log("warning", $0, nil, "") }
  }

  private func fail(_ attempt: Attempt, _ status: LuaWorker.Status) {
    attempt.status = status == .killed ? .killed : .failed
    let code: FailureCode =
      switch status {
      case .killed: wasCancelled.load(ordering: .relaxed) ? .cancelled : .timeout
      case .outOfMemory: .memory
      default: .error
      }
    attempt.failure = Failure(code, lua.errorText)
  }

  // MARK: Loading

  /// The script at a place of a set, as this worker's state has it; nil when it is not loaded yet. The set is the
  /// newest from now on.
  @inline(__always)
  private func loaded(_ position: Int, of number: Int) -> LuaWorker.Trigger? {
    if newest.number != number { select(number) }
    return position < newest.triggers.count ? newest.triggers[position] : nil
  }

  /// Loads a script of the newest set. A failure is not kept: the load may have been cancelled.
  private func load(_ trigger: LoadedTrigger) throws(LuaWorker.LoadError) -> LuaWorker.Trigger {
    let set = newest
    while set.triggers.count <= trigger.position { set.triggers.append(nil) }
    guard case .lua(let tree, let path) = trigger.body else {
      preconditionFailure("\(trigger.name) is no script")
    }
    guard let tree = self.tree(tree, set) else {
      throw LuaWorker.LoadError(description: "\(path): loading was cancelled")
    }
    let loaded = try lua.load(path, of: tree, limits: limits)
    set.triggers[trigger.position] = loaded
    return loaded
  }

  private func select(_ number: Int) {
    newest = sets[number] ?? LoadedSet(number: number)
    sets[number] = newest
  }

  /// Nil when its making was cancelled: it runs as an attempt of its own.
  private func tree(_ tree: LoadedTree, _ set: LoadedSet) -> LuaWorker.Tree? {
    if let known = set.trees[tree.identity.number] { return known.lua }
    let made = lua.makeTree(
      context: Unmanaged.passUnretained(tree.sources).toOpaque(), commitNanoseconds: tree.identity.time,
      seed: tree.identity.seed)
    guard let made else { return nil }
    if let (old, loaded) = newestTree(before: set.number) {
      lua.adopt(into: made, from: old, changed: tree.sources.files.changes(since: loaded.sources.files).paths)
    }
    set.trees[tree.identity.number] = (made, tree)
    return made
  }

  /// What this state has loaded for the set before: most of it is the same in the next. A replay (set 0) loads
  /// every tree by itself.
  private func newestTree(before number: Int) -> (lua: LuaWorker.Tree, loaded: LoadedTree)? {
    if number == 0 { return nil }
    let older = sets.values.filter { $0.number < number && !$0.trees.isEmpty }
    return older.max { $0.number < $1.number }?.trees.values.first
  }

  /// Frees the scripts of sets that no operation uses any more. Those used last stay for the next to take over
  /// from.
  package func forget(allBut kept: Set<Int>) {
    for (number, set) in sets where !kept.contains(number) && set !== newest {
      for tree in set.trees.values { lua.free(tree.lua) }
      sets[number] = nil
    }
  }

  // MARK: What Lua calls

  @inline(__always)
  package static func with<Result>(
    _ pointer: UnsafeMutableRawPointer?, _ body: (LuaRunner) -> Result
  ) -> Result {
    Unmanaged<LuaRunner>.fromOpaque(pointer!)._withUnsafeGuaranteedRef(body)
  }

  @inline(__always)
  private static func table<Result>(
    _ pointer: UnsafeMutableRawPointer?, _ body: (StoreTable) -> Result
  ) -> Result {
    Unmanaged<StoreTable>.fromOpaque(pointer!)._withUnsafeGuaranteedRef(body)
  }

  @inline(__always)
  private static func bytes(_ text: UnsafePointer<CChar>?, _ count: Int) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(
      start: UnsafeRawPointer(text)?.assumingMemoryBound(to: UInt8.self), count: text == nil ? 0 : count)
  }

  package static let functions = LuaHostFunctions(
    store: { runner, name, count, permanent, refused in
      with(runner) { $0.openStore(bytes(name, count), permanent, refused) }
    },
    get: { runner, store, key, count, length in
      with(runner) { runner in table(store) { runner.get($0, bytes(key, count), length) } }
    },
    scanBegin: { runner, store, prefix, count in
      with(runner) { runner in table(store) { runner.beginScan($0, bytes(prefix, count)) } }
    },
    scanNext: { cursor, key, keyLength, value, valueLength in
      let next = Unmanaged<ScanCursor>.fromOpaque(cursor!)._withUnsafeGuaranteedRef { $0.next() }
      guard let (entry, version) = next else { return 0 }
      key!.pointee = UnsafeRawPointer(Entry.key(entry)).assumingMemoryBound(to: CChar.self)
      keyLength!.pointee = Int(entry.pointee.keyLength)
      value!.pointee = Version.bytes(version)
      valueLength!.pointee = Int(version.pointee.length)
      return 1
    },
    count: { runner, store, prefix, count in
      with(runner) { runner in table(store) { runner.count($0, bytes(prefix, count)) } }
    },
    version: { runner, store in
      with(runner) { runner in
        table(store) {
          runner.attempt.reads.add(whole: $0)
          runner.countHeld()
          return $0.version(at: runner.attempt.snapshot)
        }
      }
    },
    log: { runner, level, message, count, fields, fieldsCount, place in
      guard runner != nil else { return }
      with(runner) { runner in
        runner.log(
          level!, bytes(message, count), fields.map { UnsafeRawBufferPointer(start: $0, count: fieldsCount) },
          place!)
      }
    },
    source: LuaHostFunctions.loading.source)

  private func openStore(
    _ name: UnsafeBufferPointer<UInt8>, _ permanent: UnsafeMutablePointer<Int32>?,
    _ refused: UnsafeMutablePointer<UnsafePointer<CChar>?>?
  ) -> UnsafeMutableRawPointer? {
    do throws(StoreDirectory.Refusal) {
      let name = String(decoding: name, as: UTF8.self)
      if StoreTable.isInternal(name) {
        throw StoreDirectory.Refusal(message: "names with a dot first are the host's own")
      }
      let table = try attempt.open(name, in: stores)
      permanent?.pointee = table.isStandIn ? 0 : 1
      countHeld()
      return Unmanaged.passUnretained(table).toOpaque()
    } catch {
      refusal = Array(error.message.utf8CString)
      // The array is kept until the next refusal, and Lua copies the text at once.
      refused?.pointee = refusal.withUnsafeBufferPointer { $0.baseAddress }
      return nil
    }
  }

  @inline(__always)
  private func get(
    _ table: StoreTable, _ key: UnsafeBufferPointer<UInt8>, _ length: UnsafeMutablePointer<Int>?
  ) -> UnsafePointer<UInt8>? {
    let base = key.baseAddress!
    let hash = KeyHash.of(base, count: key.count)
    guard let entry = table.entry(base, key.count, hash: hash) else {
      attempt.reads.add(absent: base, key.count, hash: hash, in: table)
      countHeld()
      return nil
    }
    attempt.reads.add(entry: entry, in: table)
    countHeld()
    guard let version = Entry.visible(entry, at: attempt.snapshot), !version.isDeleted else {
      return nil
    }
    length!.pointee = Int(version.pointee.length)
    return Version.bytes(version)
  }

  private func beginScan(
    _ table: StoreTable, _ prefix: UnsafeBufferPointer<UInt8>
  ) -> UnsafeMutableRawPointer? {
    attempt.reads.add(prefix: prefix, in: table)
    let cursor = ScanCursor(table: table, prefix: Array(prefix), snapshot: attempt.snapshot)
    attempt.cursors.append(cursor)
    attempt.otherBytes &+= 128 &+ prefix.count
    countHeld()
    return Unmanaged.passUnretained(cursor).toOpaque()
  }

  private func count(_ table: StoreTable, _ prefix: UnsafeBufferPointer<UInt8>) -> Int64 {
    attempt.reads.add(prefix: prefix, in: table)
    countHeld()
    var count: Int64 = 0
    table.scan(prefix: prefix, at: attempt.snapshot) { _, _ in
      count += 1
      return true
    }
    return count
  }

  private func log(
    _ level: UnsafePointer<CChar>, _ message: UnsafeBufferPointer<UInt8>, _ fields: UnsafeRawBufferPointer?,
    _ place: UnsafePointer<CChar>
  ) {
    if attempt.logs == nil { attempt.logs = ScriptLines(lineMemory) }
    let lines = attempt.logs!
    let before = lines.bytes
    // Decoded, fields take several times their bytes.
    let fieldsCount = fields?.count ?? 0
    lines.add(message.count &+ fieldsCount, memory: 256 &+ message.count &+ 8 &* fieldsCount) {
      ExecutionLog(
        level: String(cString: level), message: String(decoding: message, as: UTF8.self),
        fields: fields.flatMap { try? CanonicalEncoding.decode($0) }, place: String(cString: place))
    }
    attempt.otherBytes &+= lines.bytes &- before
    countHeld()
  }

  @inline(__always)
  private func countHeld() { held.pointee = attempt.reads.bytes &+ attempt.otherBytes }
}
