import Foundation
import Testing
import TriggerLua

/// What a session keeps from one run to the next.
struct SessionTests {
  private static let prelude = "return function(argument, chunk) if chunk then chunk() end end"

  /// Runs text; kills it once it has logged something.
  private func run(_ text: String, in session: LuaSession, of host: DictionaryHost) -> LuaWorker.Status {
    let control = host.worker.control
    let isInLoop = DispatchSemaphore(value: 0), isOver = DispatchSemaphore(value: 0)
    host.whenLogged = { isInLoop.signal() }
    let watchdog = Thread {
      isInLoop.wait()
      let running = control.running
      while running != 0, control.running == running {
        control.kill(running, reason: .cancelled)
        sched_yield()
      }
      isOver.signal()
    }
    watchdog.start()
    let status = "test".utf8.withContiguousStorageIfAvailable { name in
      session.run(
        Array(text.utf8), argument: [0xf6], attempt: host.pointer,
        info: LuaAttemptInfo(
          seq: 12, admissionNanoseconds: 1_500_000_000, randomSeed: 1, trigger: UnsafeRawBufferPointer(name),
          eventName: UnsafeRawBufferPointer(name), heldBytes: host.held), limits: host.limits)
    }
    isInLoop.signal()
    isOver.wait()
    return status!
  }

  /// It has its hooks off for good: what it would still close could not be ended.
  @Test func aKilledCoroutineIsNeverClosed() throws {
    let host = DictionaryHost()
    let tree = try #require(host.worker.makeTree(context: host.pointer, commitNanoseconds: 1, seed: 7))
    defer { host.worker.free(tree) }
    let session = try LuaSession(host.worker, tree: tree, prelude: Array(Self.prelude.utf8))
    let begin = """
      co = coroutine.create(function()
        local x <close> = setmetatable({}, { __close = function() while true do end end })
        print("in the loop")
        while true do end
      end)
      coroutine.resume(co)
      """
    #expect(run(begin, in: session, of: host) == .killed)
    let end = """
      assert(coroutine.status(co) == "dead" and not coroutine.resume(co))
      local ok, message = coroutine.close(co)
      assert(not ok and message == "the coroutine ended with its execution", message)
      """
    #expect(run(end, in: session, of: host) == .ok, "\(host.worker.errorText)")
  }
}
