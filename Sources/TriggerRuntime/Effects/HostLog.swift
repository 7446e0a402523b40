import TriggerHost
import TriggerSQLite

/// The log of a host, as what stands on it needs it: read it from a position on, note something beside it.
struct HostLog: Sendable {
  let writer: GroupWriter
  let openSource: @Sendable () throws -> any LogSource

  init(writer: GroupWriter, openSource: @escaping @Sendable () throws -> any LogSource) {
    (self.writer, self.openSource) = (writer, openSource)
  }

  /// The log of a data directory.
  init(_ directory: OpenDirectory) {
    writer = directory.log.writer
    openSource = directory.source
  }

  /// Bytes of the newest records that a host in memory keeps for those who read its log.
  private static let bytesInMemory = 64 << 20

  /// A log that ends with the process, for a host without a data directory that has receivers.
  init(inMemory clock: any EngineClock) {
    let store = MemoryLogStore(keeping: Self.bytesInMemory)
    let epoch = store.beginEpoch(time: clock.now(), seed: 0, versions: EnvironmentVersions.text)
    writer = GroupWriter(store, epoch: epoch, lastSeq: 0, clock: clock)
    openSource = { store.openSource() }
    writer.start()
  }
}
