/// Edits that are known and not told yet; more than fit into one commit are several bursts.
struct UntoldEdits {
  /// What one commit takes.
  private static let mostEdits = 5000
  private static let mostBytes = 8 << 20

  private var bursts: [FileEdits]
  /// Of contents in the newest burst.
  private var bytes = 0

  /// - Parameter first: the number of the burst that the next edit belongs to.
  init(first: Int64) { bursts = [FileEdits(number: first, edits: [])] }

  /// The number of the newest burst, which may still be empty.
  var newest: Int64 { bursts[bursts.count - 1].number }

  var isEmpty: Bool { bursts[bursts.count - 1].edits.isEmpty }

  /// - Returns: the number of the burst that it belongs to.
  mutating func add(_ edit: FileEdit) -> Int64 {
    if bursts[bursts.count - 1].edits.count >= Self.mostEdits || bytes >= Self.mostBytes {
      bursts.append(FileEdits(number: newest + 1, edits: []))
      bytes = 0
    }
    bursts[bursts.count - 1].edits.append(edit)
    bytes += edit.content?.bytes.count ?? 0
    return newest
  }

  /// All of them, as told from now on.
  mutating func take() -> [FileEdits] {
    defer { self = UntoldEdits(first: newest + 1) }
    return bursts
  }
}
