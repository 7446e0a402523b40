import Foundation
import Testing
import TriggerLua

/// What ends an attempt from outside costs the same wherever the script is.
struct SignalTests {
  private static let signals = 2000

  /// CPU seconds of the worker's thread for so many signals that reach it at a depth of calls. They come from within a
  /// log line, on the worker's own thread, so each is dealt with before the next is sent.
  private func seconds(atDepth depth: Int) throws -> Double {
    let host = DictionaryHost()
    host.limits.memoryBytes = 512 << 20
    var spent = 0.0
    host.whenLogged = {
      let control = host.worker.control
      let start = threadSeconds()
      for _ in 0..<Self.signals { control.kill(control.running, reason: .timeout) }
      spent = threadSeconds() - start
    }
    let error = #expect(throws: Failure.self) {
      try host.execute(
        """
        local function at(n) if n == 0 then print("deep") while true do end end return 1 + at(n - 1) end
        at(\(depth))
        """)
    }
    #expect(error?.status == .killed, "\(error?.text ?? "")")
    return spent
  }

  /// Setting a hook marks every frame (half a millisecond at this depth): done per signal, 2,000 take a second, and the
  /// script gets no time to end.
  @Test func aSignalCostsTheSameAtAnyDepth() throws {
    let shallow = try seconds(atDepth: 10)
    let deep = try seconds(atDepth: 190_000)
    #expect(shallow > 0 && deep < shallow * 20 + 0.05, "\(deep) s for \(shallow) s")
  }
}

private func threadSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
