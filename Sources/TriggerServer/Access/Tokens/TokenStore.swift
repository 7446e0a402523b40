import Synchronization
import TriggerCore
import TriggerFiles

/// The tokens that count for a running host: read when it starts, and again whenever the file changes, so that a token
/// which somebody revokes stops to count within a moment. Any thread; a look-up reads no file.
///
/// It has a thread of its own from `start` to `stop`, which follows the file and writes down when tokens were used.
public final class TokenStore: Sendable {
  /// What happened to the tokens of a running host.
  public enum Change: Sendable {
    /// These count no more, since they were revoked or are not there: what is open with them should be closed.
    case lost(Set<TokenID>)
    /// There is a token now, and none was there before: who came without one is not let in any more.
    case first
    /// The file cannot be read, or the times of use cannot be written; the tokens as last read go on counting.
    case problem(String)
  }

  private struct State {
    var table = TokenTable()
    var uses: [TokenID: Timestamp] = [:]
    var hasUnsavedUses = false
    var isSavePlanned = false
    /// Stays true: deleting the file must not open a door that was closed.
    var hadTokens = false
  }

  /// Uses within a minute count as one, and are written down together.
  static let usePrecision = Duration.seconds(60)
  private static let usePrecisionNanoseconds: UInt64 = 60_000_000_000

  private let files: TokenFiles
  private let state: Mutex<State>
  private let watcher: DirectoryWatcher

  /// Reads what is there. Blocks for the time that the disk takes.
  ///
  /// - Throws: `AccessError` when the file cannot be read or understood: a host must not start without knowing who may.
  public init(_ files: TokenFiles) throws(AccessError) {
    self.files = files
    var first = State()
    first.table = try files.readTable()
    first.hadTokens = !first.table.tokens.isEmpty
    first.uses = try files.readUses()
    state = Mutex(first)
    var options = DirectoryWatcher.Options()
    options.includes = { $0 == TokenFiles.tokensName }
    watcher = DirectoryWatcher(files.path, options: options)
  }

  /// Follows the file from now on. Once.
  ///
  /// - Parameter change: called on the store's own thread, in order.
  public func start(_ change: @escaping @Sendable (Change) -> Void = { _ in }) {
    _ = watcher.start { [weak self] _ in self?.reload(change) }
    // What was written between the first reading and now.
    reload(change)
  }

  /// Writes down when tokens were used, and ends the thread. Safe before `start`, and twice.
  public func stop() {
    watcher.stop()
    try? saveUses()
  }

  /// Whether there is a token, or was one since the host started, be it good, expired or revoked.
  public var hasTokens: Bool { state.withLock { $0.hadTokens } }

  /// What `text` is, and notes the use when it counts. O(1), about a microsecond.
  public func check(_ text: some StringProtocol, at now: Timestamp) -> TokenCheck {
    let table = state.withLock { $0.table }
    let check = table.check(text, at: now)
    if case .good(let token) = check { note(useOf: token.id, at: now) }
    return check
  }

  /// The token with that id if it counts: whether what was allowed with it still is. O(1)
  public func token(_ id: TokenID, at now: Timestamp) -> Token? {
    let token = state.withLock { $0.table.tokens[id] }
    return token.flatMap { $0.state(at: now) == .good ? $0 : nil }
  }

  // MARK: Uses

  private func note(useOf id: TokenID, at now: Timestamp) {
    let plansSave = state.withLock { state in
      if let last = state.uses[id],
        (now.nanoseconds &- last.nanoseconds).magnitude < Self.usePrecisionNanoseconds
      {
        return false
      }
      state.uses[id] = now
      state.hasUnsavedUses = true
      defer { state.isSavePlanned = true }
      return !state.isSavePlanned
    }
    guard plansSave else { return }
    let isPlanned = watcher.perform(after: Self.usePrecision) { [weak self] _ in
      self?.state.withLock { $0.isSavePlanned = false }
      try? self?.saveUses()
    }
    if !isPlanned { state.withLock { $0.isSavePlanned = false } }
  }

  /// Writes down what was not. One thread at a time.
  func saveUses() throws(AccessError) {
    let uses = state.withLock { state -> [TokenID: Timestamp]? in
      guard state.hasUnsavedUses else { return nil }
      state.hasUnsavedUses = false
      // Tokens that are gone need no times.
      state.uses = state.uses.filter { state.table.tokens[$0.key] != nil }
      return state.uses
    }
    if let uses { try files.write(uses: uses) }
  }

  // MARK: Changes

  private func reload(_ change: @Sendable (Change) -> Void) {
    do throws(AccessError) {
      let table = try files.readTable()
      let (lost, isFirst) = state.withLock { state in
        let lost = state.table.tokens.keys.filter { id in
          state.table.tokens[id]?.revoked == nil
            && (table.tokens[id].map { $0.revoked != nil } ?? true)
        }
        state.table = table
        let isFirst = !state.hadTokens && !table.tokens.isEmpty
        state.hadTokens = state.hadTokens || isFirst
        return (Set(lost), isFirst)
      }
      if isFirst { change(.first) }
      if !lost.isEmpty { change(.lost(lost)) }
    } catch { change(.problem("\(error)")) }
  }
}
