import TriggerHost
import TriggerStorage

extension Host {
  /// Executes recent operations with scripts that are about to come into force, and says what would differ
  /// (`scripts.verify_last`). Decides nothing.
  func verify(_ tree: ScriptTree) async throws {
    let count = config.reload.verifyLast
    guard count > 0, storage != nil else { return }
  }
}
