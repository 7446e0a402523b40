#if DEBUG
  import Foundation
  import TriggerCore

  /// All interleavings of what two threads do, both of which may write: each stops before it reads a word that the other
  /// writes, writes one that the other may look at, or frees a block, and goes on when it is told to.
  package final class Duet {
    /// What both have done so far.
    private final class Stage: @unchecked Sendable {  // one of the two goes on at a time
      var freed: [(block: UnsafeMutableRawPointer, size: Int)] = []
      var faults: [String] = []
      deinit { for (block, _) in freed { free(block) } }
    }

    /// One of the two, at a stop or at its end.
    private final class Player: Seam.Watcher, @unchecked Sendable {  // handed over with the semaphores
      let stage: Stage
      let ownWords: Set<UnsafeRawPointer>
      let othersWords: Set<UnsafeRawPointer>
      var isDone = false
      private let go = DispatchSemaphore(value: 0)
      private let stopped = DispatchSemaphore(value: 0)

      init(
        _ stage: Stage, writes own: Set<UnsafeRawPointer>, _ others: Set<UnsafeRawPointer>,
        _ body: @escaping @Sendable () -> Void
      ) {
        self.stage = stage
        ownWords = own
        othersWords = others
        Thread.detachNewThread { [self] in
          go.wait()
          Seam.withWatcher(self) { body() }
          isDone = true
          stopped.signal()
        }
      }

      /// Lets it go on up to its next stop.
      func step() {
        go.signal()
        stopped.wait()
      }

      private func stop() {
        stopped.signal()
        go.wait()
      }

      func willRead(_ word: UnsafeRawPointer) {
        if othersWords.contains(word) { stop() }
        if stage.freed.contains(where: { $0 <= word && word < $0 + $1 }) {
          stage.faults.append("it reads what has been freed")
        }
      }
      func willWrite(_ value: UInt, to word: UnsafeRawPointer) { if ownWords.contains(word) { stop() } }
      func keeps(_ block: UnsafeRawPointer) -> Bool {
        stop()
        let block = UnsafeMutableRawPointer(mutating: block)
        stage.freed.append((block, size(ofBlock: block)))
        return true
      }
    }

    /// What the two do, made anew for each interleaving.
    package struct Piece {
      /// What the first writes or frees and the second looks at.
      package var firstWrites: Set<UnsafeRawPointer>
      package var secondWrites: Set<UnsafeRawPointer>
      package var first: @Sendable () -> Void
      package var second: @Sendable () -> Void
      /// When both are done.
      package var check: (_ faults: [String], _ path: [Int]) -> Void
      package init(
        firstWrites: Set<UnsafeRawPointer>, secondWrites: Set<UnsafeRawPointer>,
        first: @escaping @Sendable () -> Void,
        second: @escaping @Sendable () -> Void,
        check: @escaping (_ faults: [String], _ path: [Int]) -> Void
      ) {
        self.firstWrites = firstWrites
        self.secondWrites = secondWrites
        self.first = first
        self.second = second
        self.check = check
      }
    }

    /// The words that `body` touches.
    package static func words(
      touchedBy body: () -> Void
    ) -> (read: Set<UnsafeRawPointer>, written: Set<UnsafeRawPointer>) {
      final class Collector: Seam.Watcher, @unchecked Sendable {  // one thread
        var words: (read: Set<UnsafeRawPointer>, written: Set<UnsafeRawPointer>) = ([], [])
        func willRead(_ word: UnsafeRawPointer) { words.read.insert(word) }
        func willWrite(_ value: UInt, to word: UnsafeRawPointer) { words.written.insert(word) }
        func keeps(_ block: UnsafeRawPointer) -> Bool { false }
      }
      let collector = Collector()
      Seam.withWatcher(collector, body)
      return collector.words
    }

    /// - Returns: how many interleavings there are.
    package static func play(_ make: () -> Piece) -> Int {
      var path: [Int] = []
      var runs = 0
      while true {
        run(make(), &path)
        runs += 1
        // The last stop at which the second could have gone on instead of the first.
        while path.last == 1 { path.removeLast() }
        if path.isEmpty { return runs }
        path[path.count - 1] = 1
      }
    }

    /// Follows the path and goes on from its end with the first, noting each stop where both could go on.
    private static func run(_ piece: Piece, _ path: inout [Int]) {
      let stage = Stage()
      let players = [
        Player(stage, writes: piece.firstWrites, piece.secondWrites, piece.first),
        Player(stage, writes: piece.secondWrites, piece.firstWrites, piece.second),
      ]
      // Up to the first stop each.
      for player in players { player.step() }
      var depth = 0
      while !(players[0].isDone && players[1].isDone) {
        if players[0].isDone || players[1].isDone {
          players[players[0].isDone ? 1 : 0].step()
          continue
        }
        if depth == path.count { path.append(0) }
        players[path[depth]].step()
        depth += 1
      }
      piece.check(stage.faults, path)
    }
  }
#endif
