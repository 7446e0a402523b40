#if DEBUG
  import TestSupport
  import Testing

  @testable import TriggerCore

  /// A reader that takes a snapshot while the writer commits, moves the horizon and frees: both write, so both are
  /// threads, and every interleaving is gone through.
  @Suite(.serialized) struct SnapshotInterleavingTests {
    private final class Stage: @unchecked Sendable {  // see `Duet`
      let bench = TableBench()
      let registry = SnapshotRegistry(capacity: 1, visible: 1)
      let slot: SnapshotRegistry.Slot
      let entry: UnsafeMutablePointer<Entry>
      let next: UnsafeMutablePointer<Version>
      /// Of the reader. What it reads the writer writes, or frees.
      private(set) var words: (read: Set<UnsafeRawPointer>, written: Set<UnsafeRawPointer>) = ([], [])
      // What the reader got.
      var seq: Int64 = 0
      var value: UInt8?

      init(isDeleted: Bool) {
        bench.commit([[1]: [1]])
        slot = registry.takeSlot()!
        var key: UInt8 = 1
        entry = bench.table.entry(&key, 1, hash: KeyHash.of(&key, count: 1))!
        next = isDeleted ? Version.makeDeleted() : Version.make([UInt8(2)], count: 1)
        words = Duet.words(touchedBy: {
          _ = registry.hold(slot)
          registry.release(slot)
          _ = Entry.visible(entry, at: 1)
          _ = Version.previous(next)
        })
      }

      /// What the engine does: commit, show, free.
      func write() {
        bench.seq = 2
        bench.reclaimer.begin(2)
        bench.table.put(next, content: 0, to: entry, seq: 2, reclaim: bench.reclaimer)
        registry.visible.storeReleasing(2)
        bench.reclaimer.reclaim(horizon: registry.advanceHorizon(undecided: 2), frontier: 2)
      }

      func read(_ hold: () -> Int64) {
        seq = hold()
        if let seen = Entry.visible(entry, at: seq), !seen.isDeleted { value = Version.bytes(seen).pointee }
        registry.release(slot)
      }
    }

    /// Every interleaving; what was wrong.
    private func play(
      isDeleted: Bool, hold: @escaping @Sendable (SnapshotRegistry, SnapshotRegistry.Slot) -> Int64
    ) -> (wrong: [String], runs: Int) {
      var wrong: [String] = []
      let runs = Duet.play {
        let stage = Stage(isDeleted: isDeleted)
        return Duet.Piece(
          firstWrites: stage.words.written, secondWrites: stage.words.read,
          first: { stage.read { hold(stage.registry, stage.slot) } },
          second: { stage.write() }
        ) { faults, path in
          wrong += faults.map { "\($0), path \(path)" }
          let wanted: UInt8? = stage.seq == 1 ? 1 : stage.seq == 2 ? (isDeleted ? nil : 2) : 0
          if stage.value != wanted {
            wrong.append("as of seq \(stage.seq) it reads \(stage.value as Any), path \(path)")
          }
        }
      }
      return (wrong, runs)
    }

    @Test(arguments: [false, true])
    func whatIsHeldIsKept(isDeleted: Bool) {
      let (wrong, runs) = play(isDeleted: isDeleted) { $0.hold($1) }
      #expect(wrong.isEmpty)
      #expect(runs > 500)
    }

    /// The steps do find a reader who holds nothing.
    @Test func aReaderWithoutASlotIsFound() {
      let (wrong, _) = play(isDeleted: false) { registry, _ in registry.visible.loadAcquiring() }
      #expect(wrong.contains { $0.hasPrefix("it reads what has been freed") })
      #expect(wrong.contains { $0.hasPrefix("as of seq 1 it reads nil") })
    }
  }
#endif
