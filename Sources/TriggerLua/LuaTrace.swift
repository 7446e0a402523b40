internal import CTriggerLua

/// Sees each line of a run before it is executed.
package final class LuaTrace {
  /// - Parameters:
  ///   - path: the script's, in its tree.
  ///   - line: from 1; 0: the run begins anew, and what came before does not count.
  ///   - changes: the local variables that have changed since the function's line before, as text.
  /// - Returns: false to see no more.
  package typealias Body = (_ path: String, _ line: Int, _ changes: String) -> Bool

  fileprivate let body: Body
  package init(_ body: @escaping Body) { self.body = body }
}

extension LuaWorker {
  /// Traces the runs that `body` makes; they give what any other run gives, and take longer.
  package func tracing<Result>(with trace: LuaTrace, _ body: () -> Result) -> Result {
    let isSet = th_worker_set_trace(
      raw,
      { context, path, line, changes, length in
        let changes = UnsafeRawBufferPointer(start: changes, count: length)
        return Unmanaged<LuaTrace>.fromOpaque(context!)._withUnsafeGuaranteedRef {
          $0.body(String(cString: path!), Int(line), String(decoding: changes, as: UTF8.self)) ? 1 : 0
        }
      }, Unmanaged.passUnretained(trace).toOpaque())
    precondition(isSet != 0, "no memory for a trace")
    defer { th_worker_set_trace(raw, nil, nil) }
    return withExtendedLifetime(trace, body)
  }
}
