import Synchronization
import TestSupport
import Testing

@testable import TriggerHost

/// No work is left lying while everybody sleeps.
@Suite struct IdleWorkersTests {
  private final class Member: Sendable { let wakeUp = WakeUp() }

  #if DEBUG
    /// One goes to rest while another brings work: every interleaving.
    @Test func whoBringsWorkOrWhoRestsSeesTheOther() {
      final class Stage: @unchecked Sendable {  // see `Duet`
        let idle = IdleWorkers<Member>()
        let work = Atomic<Int>(0)
        var taken: [Member] = []
      }
      let runs = Duet.play {
        let stage = Stage()
        let words = Duet.words(touchedBy: {
          _ = stage.work.loadInOrder()
          _ = stage.idle.takeOne()
          _ = stage.idle.rest(Member()) { true }
        })
        let both = words.read.union(words.written)
        return Duet.Piece(
          firstWrites: both, secondWrites: both,
          first: {
            let one = stage.idle.rest(Member()) { stage.work.loadInOrder() > 0 }
            if let one { stage.taken.append(one) }
          },
          second: {
            stage.work.storeInOrder(1)
            if let one = stage.idle.takeOne() { stage.taken.append(one) }
          }
        ) { _, path in
          #expect(stage.taken.count == 1, "path \(path)")
        }
      }
      #expect(runs > 10)
    }
  #endif

  /// Bringers and workers on threads of their own: whatever was brought is taken, and all come to rest.
  @Test func everythingThatIsBroughtIsTaken() async throws {
    final class Shop: Sendable {
      let idle = IdleWorkers<Member>()
      let work = Mutex<[Int]>([])
      let done = Watched(0)
      let ended = Watched(0)
      let isClosed = Atomic<Bool>(false)
    }
    let shop = Shop()
    let (bringers, each, members) = (2, 5000, (0..<3).map { _ in Member() })
    for member in members {
      Thread.detach(name: "worker") {
        while !shop.isClosed.load(ordering: .acquiring) {
          if shop.work.withLock({ $0.popLast() }) != nil {
            shop.done.update { $0 += 1 }
            continue
          }
          shop.idle.rest(member) { shop.work.withLock { !$0.isEmpty } }?.wakeUp.wake()
          member.wakeUp.sleep()
        }
        shop.ended.update { $0 += 1 }
      }
    }
    for bringer in 0..<bringers {
      Thread.detach(name: "bringer") {
        for number in 0..<each {
          shop.work.withLock { $0.append(bringer * each + number) }
          shop.idle.takeOne()?.wakeUp.wake()
        }
      }
    }
    try await shop.done.wait(for: "all that was brought") { $0 == bringers * each }
    shop.isClosed.store(true, ordering: .releasing)
    for member in members { member.wakeUp.wake() }
    try await shop.ended.wait(for: "the workers' end") { $0 == members.count }
  }
}
