#if DEBUG
  import TestSupport

  @testable import TriggerCore

  import Glibc

  /// All interleavings of an operation of the one writer with one of a reader that writes nothing.
  ///
  /// What the writer does does not depend on such a reader. So it runs once, what it does to memory is noted and
  /// undone, and then the reader runs again and again: at each of its looks the writer may have gone on. It is enough
  /// to let it go on up to the next write to the very word that is looked at (or to the freeing of its block): any
  /// other interleaving shows the reader the same values as one of these.
  final class Interleavings: Seam.Watcher, @unchecked Sendable {  // one thread
    private enum Step {
      case write(UnsafeMutablePointer<UInt>, old: UInt, new: UInt)
      case free(UnsafeMutableRawPointer, end: UInt)
    }
    private var steps: [Step] = []
    /// By word, and those that free.
    private var writes: [UnsafeRawPointer: [Int]] = [:]
    private var frees: [Int] = []
    private var isRecording = true
    /// Steps done, as the reader sees it.
    private var position = 0
    /// What was chosen at each look where there was a choice, and of how many.
    private var path: [(choice: Int, count: Int)] = []
    private var depth = 0
    /// What the reader did that it must not.
    private(set) var fault: String?

    /// What all of this is done to: it ends after this has put it into its last state.
    private let owner: AnyObject

    /// Runs the writer's operation on `owner`, and undoes it.
    init(on owner: AnyObject, _ operation: () -> Void) {
      self.owner = owner
      Seam.withWatcher(self, operation)
      isRecording = false
      position = steps.count
      move(to: 0)
    }

    /// Things are as the operation left them.
    deinit {
      move(to: steps.count)
      for case .free(let block, _) in steps { free(block) }
    }

    var count: Int { steps.count }

    /// Runs the reader once for each interleaving.
    ///
    /// - Returns: how many there are.
    func forEach<Result>(_ reader: () -> Result, _ check: (Result) -> Void) -> Int {
      var runs = 0
      repeat {
        (depth, fault) = (0, nil)
        check(Seam.withWatcher(self, reader))
        move(to: 0)
        runs += 1
      } while nextPath()
      return runs
    }

    /// Where the writer was at each choice of this run, to be told when it went wrong.
    var place: String { "choices \(path.map(\.choice)) of \(count) steps" }

    private func nextPath() -> Bool {
      while let last = path.popLast() {
        if last.choice + 1 < last.count {
          path.append((last.choice + 1, last.count))
          return true
        }
      }
      return false
    }

    private func move(to target: Int) {
      while position < target {
        if case .write(let word, _, let new) = steps[position] { word.pointee = new }
        position += 1
      }
      while position > target {
        position -= 1
        if case .write(let word, let old, _) = steps[position] { word.pointee = old }
      }
    }

    private func frees(_ step: Int, _ word: UnsafeRawPointer) -> Bool {
      guard case .free(let block, let end) = steps[step] else { return false }
      return UInt(bitPattern: block) <= UInt(bitPattern: word) && UInt(bitPattern: word) < end
    }

    // MARK: Seam.Watcher

    func willRead(_ word: UnsafeRawPointer) {
      if isRecording { return }
      var targets = [position]
      for step in writes[word] ?? [] where step >= position { targets.append(step + 1) }
      for step in frees where step >= position && frees(step, word) { targets.append(step + 1) }
      if targets.count > 1 {
        if depth == path.count { path.append((0, targets.count)) }
        move(to: targets[path[depth].choice])
        depth += 1
      }
      if frees.contains(where: { $0 < position && frees($0, word) }) {
        fault = "it reads what has been freed"
      }
    }

    func willWrite(_ value: UInt, to word: UnsafeRawPointer) {
      guard isRecording else { return fault = "it writes" }
      let word = UnsafeMutablePointer(mutating: word.assumingMemoryBound(to: UInt.self))
      writes[word, default: []].append(steps.count)
      steps.append(.write(word, old: word.pointee, new: value))
    }

    func keeps(_ block: UnsafeRawPointer) -> Bool {
      let block = UnsafeMutableRawPointer(mutating: block)
      frees.append(steps.count)
      steps.append(.free(block, end: UInt(bitPattern: block + size(ofBlock: block))))
      return true
    }
  }
#endif
