import TestSupport
import Testing
import TriggerCore

@testable import TriggerFiles

/// The machine that makes one change set out of a burst, on a clock set by hand (milliseconds).
@Suite struct SettlingTests {
  private static let ms: Int64 = 1_000_000
  private var settling = Settling(quiet: .milliseconds(30), longest: .milliseconds(500))

  private func dirt(_ paths: String...) -> Dirt { Dirt(paths: Set(paths)) }

  @Test mutating func aBurstIsOneSet() {
    #expect(settling.isIdle && settling.deadline == nil && settling.settled(at: 0) == nil)
    settling.touched(dirt("a"), at: 0)
    settling.touched(dirt("b"), at: 20 * Self.ms)
    settling.touched(dirt("a"), at: 40 * Self.ms)
    #expect(settling.deadline == 70 * Self.ms)
    #expect(settling.settled(at: 69 * Self.ms) == nil)
    #expect(settling.settled(at: 70 * Self.ms) == dirt("a", "b"))
    #expect(settling.isIdle && settling.settled(at: 1000 * Self.ms) == nil)
  }

  @Test mutating func nothingIsNoBurst() {
    settling.touched(Dirt(), at: 0)
    #expect(settling.isIdle)
  }

  @Test mutating func anEndlessBurstComesInParts() {
    var parts: [Int64] = []
    for time in 0..<1200 {
      let now = Int64(time) * Self.ms
      settling.touched(dirt("\(time)"), at: now)
      if settling.settled(at: now) != nil { parts.append(Int64(time)) }
    }
    // The second part's first change came right after the first part was given out.
    #expect(parts == [500, 1001])
  }

  @Test mutating func lostEventsMakeEverythingDirty() {
    settling.touched(dirt("a"), at: 0)
    settling.touched(.everything, at: 1)
    let settled = settling.settled(at: 40 * Self.ms)
    #expect(settled?.everything == true && settled?.paths == ["a"])
  }

  /// Whatever comes when: nothing is lost, nothing comes twice, nothing waits longer than it may.
  @Test func property() {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    for _ in 0..<200 {
      var settling = Settling(quiet: .milliseconds(30), longest: .milliseconds(500))
      var now: Int64 = 0
      var waiting: [String: Int64] = [:]
      for step in 0..<300 {
        now += Int64.random(in: 0...50, using: &random) * Self.ms
        if let dirt = settling.settled(at: now) {
          #expect(dirt.paths == Set(waiting.keys), "seed \(seed)")
          waiting = [:]
        }
        for (path, time) in waiting {
          #expect(now - time < 500 * Self.ms, "seed \(seed): \(path) waits")
        }
        if Bool.random(using: &random) {
          settling.touched(dirt("\(step)"), at: now)
          waiting["\(step)"] = now
        }
        #expect(settling.isIdle == waiting.isEmpty, "seed \(seed)")
      }
    }
  }
}
