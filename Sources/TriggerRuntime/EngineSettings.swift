import HostConfig
import TriggerCore
import TriggerHost
import TriggerStores

extension TriggerOptions {
  /// What the configuration says for scripts that say nothing.
  package init(_ config: HostConfig) {
    self.init()
    timeout = config.limits.timeout
    memory = config.limits.memory
    ceilings = config.limits.most
  }
}

extension EngineConfiguration {
  package init(_ config: HostConfig, workers: Int? = nil) throws {
    self.init()
    if let count = workers ?? config.workers {
      guard (1...64).contains(count) else {
        throw ConfigProblem(file: config.file, message: "workers must be 1 to 64, got \(count)")
      }
      self.workers = count
    }
    queueCapacity = config.queue.capacity
    whenFull = config.queue.whenFull == .wait ? .wait : .refuse
    strictOrder = config.order == .strict
    grace = config.limits.grace
    hold = config.limits.hold
    strictStores = config.strictStores
    maximumHops = config.limits.hops
    maximumEmits = config.limits.emits
    maximumOffspring = config.limits.offspring
    keys = config.limits.keys
    rules = config.stores.compactMapValues { $0.files.map { FileStoreRule($0.policy) } }
  }
}

extension HostConfig {
  /// The stores that it declares, as they are before the first commit.
  package var emptyStores: [String: Value.Map] { stores.mapValues { _ in [:] } }
}
