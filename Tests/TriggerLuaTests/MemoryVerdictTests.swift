import Testing
import TriggerLua

/// What a script may hold does not depend on what ran before it on the worker: neither on garbage that lies about nor on
/// scripts that were let go.
struct MemoryVerdictTests {
  private static let limit = 2 << 20

  /// Holds as many bytes as its event says, in blocks of 1 kB, and garbage of other sizes meanwhile.
  private static let holder = """
    return {execute = function(event, ctx)
      local held = {}
      for i = 1, event do held[i] = ('x'):rep(990) .. i; local _ = {i, {}} end
      return {ctx:store('s'):put('k', #held)}
    end}
    """

  private func fits(_ blocks: Int, _ host: DictionaryHost, _ trigger: LuaWorker.Trigger) throws -> Bool {
    do {
      _ = try host.run(trigger, event: "19" + hex(blocks))
      return true
    } catch let failure as Failure {
      #expect(failure.text.contains("out of memory"), "\(failure.text)")
      return false
    }
  }

  private func hex(_ number: Int) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 4 - digits.count) + digits
  }

  /// The most blocks that fit: by halving, on one worker.
  private func most(_ host: DictionaryHost, _ trigger: LuaWorker.Trigger, before: () throws -> Void) throws
    -> Int
  {
    var (fitting, beyond) = (0, 4000)
    while beyond - fitting > 1 {
      let middle = (fitting + beyond) / 2
      try before()
      if try fits(middle, host, trigger) { fitting = middle } else { beyond = middle }
    }
    return fitting
  }

  @Test func garbageOfOthersDoesNotCount() throws {
    func host() -> DictionaryHost {
      let host = DictionaryHost()
      host.limits.memoryBytes = Self.limit
      return host
    }
    let fresh = host()
    let trigger = try fresh.load(Self.holder)
    let expected = try most(fresh, trigger) {}
    #expect(expected > 1000)
    let old = host()
    let other = try old.load(
      "return {execute = function(e) local t = {} for i = 1, e do t[i] = {i} end end}",
      path: "triggers/other.lua")
    let deep = try old.load(
      "return {execute = function(e) local function f(n) return n > 0 and 1 + f(n - 1) or 0 end f(e) end}",
      path: "triggers/deep.lua")
    let held = try old.load(Self.holder)
    var garbage = 0
    let found = try most(old, held) {
      garbage += 1
      for _ in 0..<garbage % 7 { _ = try old.run(other, event: "190400") }
      if garbage % 3 == 1 { _ = try old.run(deep, event: "192000") }
    }
    #expect(found == expected, "\(found) blocks of 1 kB, \(expected) on a new worker")
  }
}
