import TriggerCore
import TriggerFiles

/// What writes have displaced and is still needed, and which temporaries the mark may forget.
struct Asides {
  typealias Aside = DirectoryWriter.Aside

  /// What an aside is kept for.
  enum Waiting: Equatable {
    /// The commit of the edit that it holds.
    case commit(FileContent.ID?)
    /// The end of its writer, who has it open; with the content that was expected there.
    case writer(expected: FileContent.ID?)
    /// Somebody who looks: it cannot become a commit, because of this.
    case anybody(String)
  }

  private(set) var kept: [Aside: Waiting] = [:]
  /// Names of temporaries that are no more.
  private var gone: [String] = []

  subscript(aside: Aside) -> Waiting? { kept[aside] }

  mutating func keep(_ aside: Aside, for waiting: Waiting) { kept[aside] = waiting }

  mutating func remove(_ aside: Aside) {
    kept[aside] = nil
    // Its other name may still hold something.
    ended(aside.temporary)
  }

  /// Nothing more is done under a temporary name: it is gone unless something is kept there.
  mutating func ended(_ temporary: String) { if !holds(temporary) { gone.append(temporary) } }

  private func holds(_ temporary: String) -> Bool { kept.keys.contains { $0.temporary == temporary } }

  /// Names for the mark to forget; they stay until `forgotten`.
  mutating func forgettable() -> [String] {
    if !gone.isEmpty {
      let held = Set(kept.keys.map(\.temporary))
      gone.removeAll { held.contains($0) }
    }
    return gone
  }

  /// The mark has forgotten what was `forgettable`.
  mutating func forgotten() { gone = [] }

  /// Whether a writer still has one of them open.
  var hasOpen: Bool { kept.values.contains { if case .writer = $0 { true } else { false } } }

  /// What somebody has to look at.
  var problems: [FileProblem] {
    kept.compactMap { aside, waiting in
      guard case .anybody(let message) = waiting else { return nil }
      return FileProblem(path: aside.path, message: "an edit \(message); it is kept as \(aside.name)")
    }
  }
}
