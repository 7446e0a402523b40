internal import CTriggerLua

/// One sandboxed Lua state, used by one thread.
///
/// Create it, call `bind` on its thread, then load trees and triggers and run attempts there. Only
/// `LuaWorkerControl` may be used from other threads. No error of Lua leaves a method as anything but a
/// result: Lua unwinds with `longjmp` inside C.
package final class LuaWorker {
  package enum KillReason: Int32, Sendable {
    case timeout = 1
    case cancelled
  }

  package enum Status: Int32, Sendable {
    case ok = 0
    case scriptError, killed, outOfMemory
    /// Of a session: the text is no Lua, or ends before it is whole.
    case notLua, incomplete
  }

  /// A script that does not load: `triggers/rsi.lua:12: ...`, with a traceback when it was running.
  package struct LoadError: Error, CustomStringConvertible {
    package let description: String
    package init(description: String) { self.description = description }
  }

  /// One version of the script tree, as loaded by one worker. Free it with `free(_:)` before the worker.
  package struct Tree { let raw: OpaquePointer }
  /// A loaded script; lives as long as its tree.
  package struct Trigger { let raw: OpaquePointer }

  let raw: OpaquePointer

  /// Nil when out of memory.
  package init?(host: LuaHostFunctions) {
    var functions = th_host(
      store: host.store, get: host.get, scan_begin: host.scanBegin, scan_next: host.scanNext,
      count: host.count, version: host.version, log: host.log, source: host.source,
      required: host.required, call: host.call)
    guard let raw = th_worker_new(&functions) else { return nil }
    self.raw = raw
  }

  deinit { th_worker_free(raw) }

  /// Binds the worker to the calling thread; needed before an attempt can be killed.
  package func bind() { th_worker_bind(raw) }

  /// Bytes that Lua holds.
  package var memory: Int { th_worker_memory(raw) }

  /// A tree whose files `LuaHostFunctions.source` gives for `context`. Nil when out of memory.
  ///
  /// `commitNanoseconds` and `seed` are what chunks see as clock and randomness while they load.
  package func makeTree(context: UnsafeMutableRawPointer?, commitNanoseconds: Int64, seed: UInt64) -> Tree? {
    th_tree_new(raw, context, commitNanoseconds, seed).map(Tree.init)
  }

  /// Takes over from an older tree of this worker what a load would give again.
  ///
  /// - Parameter changed: paths of all files that differ.
  package func adopt(into tree: Tree, from old: Tree, changed: some Sequence<String>) {
    var text = changed.joined(separator: "\0")
    text.append("\0")
    // Out of memory: then it is loaded anew.
    text.withUTF8 {
      let paths = UnsafeRawPointer($0.baseAddress!).assumingMemoryBound(to: CChar.self)
      _ = th_tree_adopt(raw, tree.raw, old.raw, paths, $0.count)
    }
  }

  /// Frees a tree with its modules and triggers.
  package func free(_ tree: Tree) { th_tree_free(raw, tree.raw) }

  /// Compiles a script of the tree and runs its chunk under the limits.
  package func load(_ path: String, of tree: Tree, limits: LuaLimits) throws(LoadError) -> Trigger {
    var limits = limits.raw
    guard let trigger = th_trigger_load(raw, tree.raw, path, &limits) else {
      throw LoadError(description: errorText)
    }
    return Trigger(raw: trigger)
  }

  /// Compiles a file of the tree, without running it.
  package func compile(_ path: String, of tree: Tree, limits: LuaLimits) throws(LoadError) {
    var limits = limits.raw
    guard th_chunk_compile(raw, tree.raw, path, &limits) != 0 else {
      throw LoadError(description: errorText)
    }
  }

  /// The table that the script returned, encoded, without `execute`, or with the name of its type when it is no
  /// function; other functions read `"function"`.
  package func spec(of trigger: Trigger) throws(LoadError) -> [UInt8] {
    try bytes { th_trigger_spec(raw, trigger.raw, $0, $1) }
  }

  /// The binary form of a file of the tree, debug information and all, as `LuaChunk` reads it.
  package func dump(_ path: String, of tree: Tree, limits: LuaLimits) throws(LoadError) -> [UInt8] {
    var limits = limits.raw
    return try bytes { th_chunk_dump(raw, tree.raw, path, &limits, $0, $1) }
  }

  /// What scripts can use, encoded: a map of each global to the name of its type, or, for a table, to the list of
  /// its names; `ctx` and `store` to the lists of theirs.
  package func names() throws(LoadError) -> [UInt8] { try bytes { th_worker_names(raw, $0, $1) } }

  /// The paths that `require` tries for a module, in order; `?` stands for its name.
  package static var modulePaths: [String] {
    (0...).lazy.map { th_module_template($0) }.prefix { $0 != nil }.map { String(cString: $0!) }
  }

  private func bytes(
    _ body: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>, UnsafeMutablePointer<Int>) -> Int32
  ) throws(LoadError) -> [UInt8] {
    var bytes: UnsafeMutablePointer<UInt8>?
    var length = 0
    guard body(&bytes, &length) != 0 else { throw LoadError(description: errorText) }
    defer { th_free(bytes) }
    return Array(UnsafeBufferPointer(start: bytes, count: length))
  }

  /// Runs one attempt. `attempt` is what the host's functions get; `event` is a value in canonical encoding.
  ///
  /// On any status but `ok` the output is empty and `errorText` tells why.
  package func run(
    _ trigger: Trigger, attempt: UnsafeMutableRawPointer?, info: LuaAttemptInfo,
    event: UnsafeRawBufferPointer,
    limits: LuaLimits, output: LuaOutput
  ) -> Status {
    var limits = limits.raw
    var info = info.raw
    let status = th_run(
      raw, trigger.raw, attempt, &info, event.baseAddress?.assumingMemoryBound(to: UInt8.self), event.count,
      &limits, output.raw)
    guard let status = Status(rawValue: status) else { fatalError("status \(status) of an attempt") }
    return status
  }

  /// Message and traceback of the last call that failed, at most 8 KiB.
  package var errorText: String {
    var length = 0
    let text = th_worker_error(raw, &length)
    return String(decoding: UnsafeRawBufferPointer(start: text, count: length), as: UTF8.self)
  }

  /// Version of the library that runs scripts, like `Lua 5.4.4`.
  package static var release: String { String(cString: th_lua_release()) }

  /// What in this Lua is guarded against, `Security.md` says how: like `stacks, code`; empty when it needs none.
  package static var guards: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { text in
      _ = th_guard_names(text.baseAddress, text.count)
      return String(cString: text.baseAddress!)
    }
  }

  /// Version of the C library, like `glibc 2.36`.
  package static var libraryRelease: String { "glibc " + String(cString: th_libc_release()) }

  /// For the threads that watch over this worker.
  package var control: LuaWorkerControl { LuaWorkerControl(worker: self) }
}

/// What ps, top and debuggers show of the calling thread: the first 15 bytes on Linux.
package func nameThisThread(_ name: String) { th_name_thread(name) }

/// What the system calls the calling thread; 0 where it has no name for threads.
package func thisThread() -> Int32 { th_this_thread() }

/// Gives a thread what is left of the cores when nobody else wants them: for one that does nothing useful any more and
/// cannot be ended. Whether that is so now.
package func lowerThread(_ thread: Int32) -> Bool { th_lower_thread(thread) != 0 }
package func isLowestThread(_ thread: Int32) -> Bool { th_is_lowest_thread(thread) != 0 }

/// What other threads may do to a worker. Keeps it alive.
///
/// Sendable because it only reaches the worker's atomics and its thread id, written once by `bind`.
package struct LuaWorkerControl: @unchecked Sendable {
  fileprivate let worker: LuaWorker

  /// Number of the attempt now running, 0 when idle.
  package var running: UInt64 { th_worker_running(worker.raw) }

  /// Asks that the attempt end. Repeat until `running` differs: one signal can find the script inside a
  /// call that clears the request.
  package func kill(_ running: UInt64, reason: LuaWorker.KillReason) {
    th_worker_kill(worker.raw, running, reason.rawValue)
  }
}

extension LuaAttemptInfo {
  var raw: th_attempt_info {
    th_attempt_info(
      seq: seq, admission_ns: admissionNanoseconds, random_seed: randomSeed,
      trigger: trigger.baseAddress?.assumingMemoryBound(to: CChar.self), trigger_length: trigger.count,
      event_name: eventName.baseAddress?.assumingMemoryBound(to: CChar.self),
      event_name_length: eventName.count, held_bytes: heldBytes)
  }
}

extension LuaLimits {
  var raw: th_limits {
    th_limits(
      memory_bytes: memoryBytes, value_bytes: valueBytes, value_depth: UInt32(clamping: valueDepth),
      intents: UInt32(clamping: intents), output_bytes: outputBytes)
  }
}
