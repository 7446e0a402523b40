import Logging
import TriggerCore
import TriggerHost
import TriggerRuntime

/// A car park and the host that runs it.
struct Garage: Sendable {
  let store: CarParkStore
  let host: RunningHost

  /// Runs when this returns.
  ///
  /// - Parameter clock: what fees and midnights go by; a test moves its own.
  init(spaces: Int, clock: any EngineClock = SystemClock(), logger: Logger? = nil) throws {
    store = VersionedStore("park", backend: try CodableStoreBackend(CarPark(spaces: spaces)))
    var options = HostOptions()
    options.clock = clock
    options.logger = logger
    options.triggers = [Enter(store: store), Leave(store: store), CloseDay(store: store)]
    let opened = OpenedHost(EngineConfiguration(), options)
    try opened.register(store)
    let midnight = ScheduledJob(
      name: "midnight", rule: try .init(cron: "CRON_TZ=UTC 0 0 * * *"), action: .trigger("CloseDay"))
    host = try opened.recover().start(scripts: nil, schedules: [midnight])
  }

  /// As of the newest commit that anybody was told of.
  var park: CarPark { store.backend.model }
}
