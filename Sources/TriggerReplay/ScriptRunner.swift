import Synchronization
import TriggerCore
import TriggerHost
import TriggerLua

/// Runs attempts of scripts one after another, on the thread that made it, watched over by a guard.
final class ScriptRunner {
  /// Trees that one Lua state holds; then it is thrown away and a new one made.
  private static let treesHeld = 32

  private let stores: StoreDirectory
  private let configuration: EngineConfiguration
  private let guardian: AttemptGuard
  // One thread: no two accesses overlap (Architecture.md, Targets).
  @exclusivity(unchecked) private var lua: LuaRunner
  @exclusivity(unchecked) private var watched: AttemptGuard.Watched
  /// What `lua` has loaded: it looks at their sources for as long as it lives.
  @exclusivity(unchecked) private var trees: [Int: LoadedTree] = [:]

  init(stores: StoreDirectory, configuration: EngineConfiguration, guardian: AttemptGuard) {
    self.stores = stores
    self.configuration = configuration
    self.guardian = guardian
    lua = LuaRunner(stores: stores, configuration)
    lua.bind()
    watched = guardian.watch(lua.control)
  }

  deinit { guardian.forget(watched) }

  /// Executes a script on the state as of `snapshot`. The result is in `attempt`, which must be empty.
  ///
  /// - Parameters:
  ///   - patience: how often the trigger's own time limit may be used up.
  ///   - most: wall nanoseconds that are enough in any case.
  ///   - trace: sees each line before it runs.
  func run(
    _ operation: Operation, _ attempt: Attempt, at snapshot: Int64, patience: Int64 = 1,
    most: Int64 = .max, trace: LuaTrace? = nil
  ) {
    guard case .lua(let tree, _) = operation.trigger.body else {
      preconditionFailure("\(operation.trigger.name) is no script")
    }
    hold(tree)
    attempt.snapshot = snapshot
    let (limit, overflow) = operation.trigger.timeoutNanoseconds.multipliedReportingOverflow(by: patience)
    watched.limit.store(overflow ? .max : limit, ordering: .relaxed)
    watched.most.store(most, ordering: .relaxed)
    lua.run(operation, attempt, trace: trace)
  }

  private func hold(_ tree: LoadedTree) {
    if trees[tree.identity.number] != nil { return }
    if trees.count == Self.treesHeld {
      guardian.forget(watched)
      lua = LuaRunner(stores: stores, configuration)
      lua.bind()
      watched = guardian.watch(lua.control)
      trees = [:]
    }
    trees[tree.identity.number] = tree
  }
}
