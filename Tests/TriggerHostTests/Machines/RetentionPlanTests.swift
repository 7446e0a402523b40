import TestSupport
import Testing
import TriggerCore

@testable import TriggerHost

@Suite struct RetentionPlanTests {
  private static func checkpoint(_ id: Int64, _ seq: Int64, bytes: Int = 10) -> RetentionPlan.Checkpoint {
    RetentionPlan.Checkpoint(id: id, since: seq - 1, last: seq, bytes: bytes)
  }

  /// Ten bytes a record.
  private func plan(_ log: RetentionPlan.Log) -> RetentionPlan {
    RetentionPlan(log) { bytes in log.first + Int64((bytes + 9) / 10) }
  }

  private func log(_ seqs: [Int64], size: Int = 10, first: Int64 = 1, last: Int64 = 1000) -> RetentionPlan.Log
  {
    var log = RetentionPlan.Log()
    for (index, seq) in seqs.enumerated() {
      log.checkpoints.append(Self.checkpoint(Int64(index + 1), seq, bytes: size))
    }
    (log.first, log.last, log.recordBytes) = (first, last, Int(last - first + 1) * 10)
    return log
  }

  @Test func nothingGoesUnasked() {
    #expect(plan(log([])) == RetentionPlan(RetentionPlan.Log()) { _ in 0 })
    let plan = plan(log([500, 900, 1000]))
    #expect(plan.removed == [] && plan.cut == 0 && plan.heldUp == nil)
  }

  @Test func bytesCutWhereTheyMust() {
    // No checkpoint of the past: to the record.
    var log = log([900, 1000])
    log.excess = 4000
    #expect(plan(log).cut == 400 && plan(log).heldUp == nil)
    // One that is near: no more than is allowed stays, and what stays begins with it.
    log = self.log([420, 900, 1000])
    log.excess = 4000
    #expect(plan(log).cut == 419 && plan(log).removed == [])
    // One that is far lets nothing go by itself.
    log = self.log([10, 900, 1000])
    log.excess = 4000
    #expect(plan(log).cut == 400 && plan(log).removed == [1])
    // The older of the two newest is in the way; a checkpoint helps.
    log.excess = 9990
    #expect(plan(log).cut == 899 && plan(log).heldUp == .bytes)
    // Only one, none.
    for seqs in [[], [1000]] as [[Int64]] {
      log = self.log(seqs)
      log.excess = 1
      #expect(plan(log).cut == 0 && plan(log).heldUp == .bytes)
    }
  }

  @Test func ageKeepsAtLeastWhatWasAskedFor() {
    var log = log([900, 1000])
    log.firstYoung = 500
    #expect(plan(log).cut == 499)
    log = self.log([450, 900, 1000])
    log.firstYoung = 500
    #expect(plan(log).cut == 449 && plan(log).removed == [])
    log = self.log([100, 900, 1000])
    log.firstYoung = 500
    #expect(plan(log).cut == 499 && plan(log).removed == [1])
    // Everything is old: the last block stays, and the two newest checkpoints with what comes after them.
    log.firstYoung = 2000
    #expect(plan(log).cut == 899 && plan(log).heldUp == .age)
    log = self.log([1001, 1001])
    log.firstYoung = 2000
    #expect(plan(log).cut == 1000 && plan(log).heldUp == nil)
  }

  /// Checkpoints of the past cost a quarter of what the records do at most, and lie about evenly.
  @Test func checkpointsOfThePastAreFew() {
    var kept = RetentionPlan.Log()
    for id in Int64(1)...300 {
      kept.checkpoints.append(Self.checkpoint(id, id * 10))
      (kept.last, kept.recordBytes) = (id * 10, Int(id) * 100)
      let plan = plan(kept)
      kept.checkpoints.removeAll { plan.removed.contains($0.id) }
    }
    let past = kept.checkpoints.dropLast(2)
    #expect(past.count == 8)
    for (left, right) in zip(past, past.dropFirst()) { #expect(right.last - left.last <= 1000, "\(past)") }
    // Large ones: none.
    var large = log([100, 200, 300, 900, 1000], size: 3000)
    #expect(plan(large).removed.sorted() == [1, 2, 3])
    // What they free need not come from the records.
    large.excess = 9000
    #expect(plan(large).cut == 0)
    large.excess = 9100
    #expect(plan(large).cut == 10)
  }

  /// Whatever is asked for: the two newest stay, with every record after the older one; nothing that is cut is needed
  /// by a checkpoint that stays.
  @Test func whatIsNeededStays() {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    for round in 0..<5000 {
      var seqs: [Int64] = []
      for _ in 0..<Int.random(in: 0...12, using: &random) {
        seqs.append(.random(in: 1...1000, using: &random))
      }
      var log = log(seqs.sorted(), size: .random(in: 1...2000, using: &random), last: 999)
      log.firstYoung = .random(in: 0...1500, using: &random)
      log.excess = .random(in: -100...12000, using: &random)
      let plan = plan(log)
      let kept = log.checkpoints.filter { !plan.removed.contains($0.id) }
      let place: Comment = "seed \(seed), round \(round): \(log) \(plan)"
      #expect(Array(kept.suffix(2)) == Array(log.checkpoints.suffix(2)), place)
      for checkpoint in kept { #expect(checkpoint.since >= plan.cut, place) }
      #expect(Set(plan.removed).count == plan.removed.count, place)
      #expect(plan.cut <= log.last, place)
      if log.checkpoints.count < 2 { #expect(plan.cut == 0, place) }
    }
  }
}
