internal import CTriggerLua

/// Lua text evaluated piece by piece in one environment that stays: what the REPL and script tests run in.
///
/// It begins with a prelude, Lua text that is given `call` (asks the host, by name and with one value),
/// `describe` (the fields of a prepared intent) and `ctx`, and returns the function that every `run` calls. Used
/// by the worker's thread, like the worker.
package final class LuaSession {
  private let raw: OpaquePointer
  private let worker: LuaWorker

  /// - Throws: when the prelude fails.
  package init(_ worker: LuaWorker, tree: LuaWorker.Tree, prelude: [UInt8]) throws(LuaWorker.LoadError) {
    let raw = prelude.withUnsafeBytes { text in
      th_session_new(worker.raw, tree.raw, text.baseAddress?.assumingMemoryBound(to: CChar.self), text.count)
    }
    guard let raw else { throw LuaWorker.LoadError(description: worker.errorText) }
    self.raw = raw
    self.worker = worker
  }

  deinit { th_session_free(raw) }

  /// Calls the prelude's function with `argument` (canonical encoding) and the compiled `text`, nil without one.
  ///
  /// - Parameter name: what error messages call the text; `@path` for a file, `=name` for anything else.
  /// - Returns: anything but `ok` leaves the reason in the worker's `errorText`.
  package func run(
    _ text: [UInt8]?, name: String = "=session", argument: [UInt8], attempt: UnsafeMutableRawPointer?,
    info: LuaAttemptInfo, limits: LuaLimits, output: LuaOutput? = nil
  ) -> LuaWorker.Status {
    var limits = limits.raw
    var info = info.raw
    // One byte more, so that an empty text has an address too.
    let text = text.map { $0 + [0] }
    let status = argument.withUnsafeBufferPointer { argument in
      (text ?? []).withUnsafeBytes { bytes in
        th_session_run(
          raw, attempt, &info, name,
          text == nil ? nil : bytes.baseAddress?.assumingMemoryBound(to: CChar.self),
          max(bytes.count - 1, 0), argument.baseAddress, argument.count, &limits, output?.raw)
      }
    }
    guard let status = LuaWorker.Status(rawValue: status) else { fatalError("status \(status) of a session") }
    return status
  }
}
