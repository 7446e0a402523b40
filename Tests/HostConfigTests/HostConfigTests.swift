import Foundation
import Testing
import TriggerCore
import TriggerHost
import TriggerWorkshop

@testable import HostConfig

@Suite struct HostConfigTests {
  static let full = """
    scripts: triggers
    cron: [cron.yaml, /etc/other.yaml]
    order: strict
    workers: 2
    strict_stores: true
    queue: { capacity: 500, when_full: refuse }
    limits: { timeout: 1500ms, memory: 16mb, hold: 20ms, grace: 0ms, hops: 8, emits: 10 }
    stores:
      charts: {}
      orders: { backend: memory }
      notes:
      trades:
        backend: database
        file: /srv/trades.sqlite
        table: fills
        columns: { symbol: text, quantity: integer, price: real, open: boolean, tags: json, raw: blob }
        indexes: [symbol, [symbol, version]]
        migrations:
          - CREATE VIEW big AS SELECT * FROM fills WHERE quantity > 100
          - |
            CREATE TABLE names (symbol TEXT, name TEXT);
            INSERT INTO names VALUES ('EURUSD', 'Euro');
      quotes: { backend: database }
      configs: { backend: files, directory: conf, watch: poll, max_file: 64kb, max_total: 8mb, max_files: 500 }
      pages: { backend: files, directory: /srv/pages, max_file: 1mb }
    log_level: debug
    feeds:
      - name: eurusd
        file: data/eurusd.csv
        event: bars/EURUSD
        kind: message
        set: { symbol: EURUSD, tags: [a, 1, 1.0, true, null, "1", no, 12:30, 0x1f] }
        columns: { open: number, vol: { name: volume, type: integer } }
        rate: 1000
        repeat: true
    schedules:
      - { name: report, cron: "*/5 * * * *", trigger: report, payload: { n: 1 }, timezone: Europe/Berlin,
          dst: both, jitter: 2s, misfire_grace_time: 1m, coalesce: false, max_instances: 3, mode: queued }
      - { name: pulse, every: 5s, event: pulse }
      - { name: once, at: 2026-01-01T01:00:00.5+01:00, event: new-year }
    """

  @Test func readsEverything() throws {
    let loaded = HostConfig.parse(text: Self.full, file: "/srv/desk/host.yaml")
    #expect(loaded.report.description == "")
    let config = loaded.config
    #expect(config.scripts == .init(text: "triggers", resolved: "/srv/desk/triggers", line: 1))
    #expect(config.cron.map(\.resolved) == ["/srv/desk/cron.yaml", "/etc/other.yaml"])
    #expect(config.order == .strict)
    #expect(config.workers == 2)
    #expect(config.strictStores)
    #expect(config.queue.capacity == 500)
    #expect(config.queue.whenFull == .refuse)
    #expect(config.limits.timeout == .milliseconds(1500))
    #expect(config.limits.memory == 16 << 20)
    #expect(config.limits.hold == .milliseconds(20))
    #expect(config.limits.grace == .zero)
    #expect(config.limits.hops == 8)
    #expect(config.limits.emits == 10)
    #expect(
      config.stores.keys.sorted() == ["charts", "configs", "notes", "orders", "pages", "quotes", "trades"])
    #expect(config.logLevel == .debug)
  }

  @Test func readsDatabaseStores() throws {
    let stores = HostConfig.parse(text: Self.full, file: "host.yaml").config.stores
    #expect(stores["orders"]?.database == nil)
    let trades = try #require(stores["trades"]?.database)
    #expect(trades.file == "/srv/trades.sqlite")
    let columns: [DatabaseTable.Column] = [
      .init("symbol", .text), .init("quantity", .integer), .init("price", .real), .init("open", .boolean),
      .init("tags", .json), .init("raw", .blob),
    ]
    #expect(trades.table.name == "fills")
    #expect(trades.table.columns == columns)
    #expect(trades.table.indexes == [["symbol"], ["symbol", "version"]])
    #expect(trades.table.migrations.count == 2)
    #expect(trades.table.migrations[1].hasPrefix("CREATE TABLE names"))
    #expect(trades.migrationLines == [19, 20])
    #expect(trades.table.fault == nil)
    let quotes = try #require(stores["quotes"]?.database)
    #expect(quotes == .init(file: "stores/quotes.sqlite", table: DatabaseTable("quotes")))
  }

  @Test func readsFileStores() throws {
    let stores = HostConfig.parse(text: Self.full, file: "/srv/desk/host.yaml").config.stores
    let configs = try #require(stores["configs"]?.files)
    #expect(configs.directory == .init(text: "conf", resolved: "/srv/desk/conf", line: 24))
    #expect(configs.watch == .poll)
    #expect(configs.policy.fileBytes == 64 << 10)
    #expect(configs.policy.treeBytes == 8 << 20)
    #expect(configs.policy.files == 500)
    let pages = try #require(stores["pages"]?.files)
    #expect(pages == .init(directory: .init(text: "/srv/pages", resolved: "/srv/pages", line: 25)))
  }

  /// Two directories of a host, one in the other.
  @Test func overlapsAreRefused() throws {
    let directory = try TemporaryDirectory()
    for name in ["triggers/conf", "conf/sub", "data", "other"] {
      try FileManager.default.createDirectory(
        atPath: "\(directory.path)/\(name)", withIntermediateDirectories: true)
    }
    try FileManager.default.createSymbolicLink(
      atPath: "\(directory.path)/link", withDestinationPath: "conf/sub")
    func problems(_ directories: String...) throws -> [String] {
      let stores = directories.enumerated().map {
        "  s\($0.offset): { backend: files, directory: \($0.element) }\n"
      }
      let text = "data: data\nstores:\n" + stores.joined()
      let path = try directory.write("host.yaml", Array(text.utf8))
      return HostConfig.load(path: path).report.sorted.map {
        $0.description.replacingOccurrences(of: directory.path, with: "D")
      }
    }
    let end = "; files of a store need a directory of their own"
    #expect(try problems("conf", "other").isEmpty)
    #expect(
      try problems("triggers/conf", "data/files") == [
        "D/host.yaml:3: stores.s0.directory: `triggers/conf` lies in the scripts directory (D/triggers)\(end)",
        "D/host.yaml:4: directory of store 's1', `data/files` cannot be used: no such file or directory",
        "D/host.yaml:4: stores.s1.directory: `data/files` lies in the data directory (D/data)\(end)",
      ])
    #expect(
      try problems(".", "conf", "link") == [
        "D/host.yaml:3: stores.s0.directory: `.` has in it the scripts directory (D/triggers)\(end)",
        "D/host.yaml:4: stores.s1.directory: `conf` lies in the directory of store `s0` (D)\(end)",
        "D/host.yaml:5: stores.s2.directory: `link` lies in the directory of store `s0` (D)\(end)",
      ])
    #expect(
      try problems("link", "conf").last
        == "D/host.yaml:4: stores.s1.directory: `conf` has in it the directory of store `s0` (D/conf/sub)\(end)"
    )
    #expect(
      try problems("host.yaml").first
        == "D/host.yaml:3: directory of store 's0', `host.yaml` is not a directory but a regular file")
  }

  @Test func readsFeeds() throws {
    let feed = try #require(HostConfig.parse(text: Self.full, file: "host.yaml").config.feeds.first)
    #expect(feed.name == "eurusd")
    #expect(feed.file.resolved == "data/eurusd.csv")
    #expect(feed.format == .csv)
    #expect(feed.event == "bars/EURUSD")
    #expect(feed.kind == .message)
    #expect(show(feed.set) == "{symbol='EURUSD' tags=['a' 1 1.0f true null '1' 'no' '12:30' 31]}")
    #expect(feed.columns["open"] == .init(type: .number))
    #expect(feed.columns["vol"] == .init(name: "volume", type: .integer))
    #expect(feed.rate == 1000)
    #expect(feed.isRepeating)
  }

  @Test func readsSchedules() throws {
    let entries = HostConfig.parse(text: Self.full, file: "host.yaml").config.schedules
    try #require(entries.count == 3)
    let jobs = entries.map(\.job)
    let berlin = try #require(Zone("Europe/Berlin"))
    #expect(jobs[0].rule == (try .init(cron: "*/5 * * * *", zone: berlin, onClockChange: .both)))
    #expect(jobs[0].action == .trigger("report"))
    #expect(show(jobs[0].payload) == "{n=1}")
    #expect(jobs[0].jitter == .seconds(2))
    #expect(jobs[0].misfireGraceTime == .seconds(60))
    #expect(!jobs[0].coalesce)
    #expect(jobs[0].maxInstances == 3)
    #expect(jobs[0].mode == .queued)
    #expect((entries[0].file, entries[0].line) == ("host.yaml", 37))
    #expect(jobs[1].rule == .every(.seconds(5)))
    #expect(jobs[1].action == .event("pulse"))
    #expect(jobs[1].misfireGraceTime == nil && jobs[1].coalesce && jobs[1].mode == .single)
    #expect(jobs[2].rule == .at(try Timestamp(parsing: "2026-01-01T00:00:00.5Z")))
  }

  @Test(arguments: ["", "# nothing\n", "---\n", "~\n", "{}\n"])
  func silenceMeansDefaults(text: String) {
    let loaded = HostConfig.parse(text: text, file: "host.yaml")
    #expect(loaded.report.problems.isEmpty)
    #expect(loaded.config.scripts.resolved == "triggers")
    #expect(loaded.config.order == .deferring)
    #expect(loaded.config.workers == nil)
    #expect(loaded.config.queue.capacity == 100_000)
    #expect(loaded.config.limits.timeout == .milliseconds(200))
    #expect(loaded.config.limits.most == TriggerOptions.Ceilings())
    #expect(loaded.config.limits.memory == 64 << 20)
  }

  @Test func examplesAreGood() {
    for name in ["market", "hello"] {
      let loaded = HostConfig.load(path: "\(root)/examples/\(name)/host.yaml")
      #expect(loaded.report.description == "")
      #expect(loaded.config.schedules.count == 1)
      let scripts = ScriptDirectory.read(loaded.config.scripts.resolved)
      #expect(scripts.report.problems.isEmpty)
      let names = Set(scripts.triggers.map(\.path))
      for entry in loaded.config.schedules {
        guard case .trigger(let trigger) = entry.job.action else { continue }
        #expect(names.contains("\(trigger).lua"))
      }
    }
  }

  @Test func starterIsGood() throws {
    let directory = try TemporaryDirectory()
    for file in Starter.files { try directory.write(file.path, file.contents) }
    let loaded = HostConfig.load(path: directory.path + "/host.yaml")
    #expect(loaded.report.description == "")
    #expect(loaded.config.schedules.map(\.job.name) == ["hello"])
    let scripts = ScriptDirectory.read(loaded.config.scripts.resolved)
    #expect(scripts.triggers.map(\.path) == ["hello.lua"])
    #expect(scripts.modules.map(\.path) == ["lib/greeting.lua"])
    #expect(Starter.files.allSatisfy { $0.contents.hasSuffix("\n") && !$0.contents.hasSuffix("\n\n") })
  }

  @Test func loadReportsMissingFilesTogether() throws {
    let directory = try TemporaryDirectory()
    try directory.write("triggers", "not a directory")
    try directory.write("cron.yaml", "schedules:\n  - { name: a, every: 1s, event: x }\n")
    let path = try directory.write(
      "host.yaml",
      """
      scripts: triggers
      cron: [gone.yaml, cron.yaml]
      feeds: [{ name: f, file: no.csv, event: e }]
      schedules: [{ name: a, every: 1s, event: x }]
      """)
    let report = HostConfig.load(path: path).report
    #expect(
      report.description == """
        \(path):1: scripts directory `triggers` is not a directory but a regular file
        \(path):2: cron file `gone.yaml` cannot be used: no such file or directory
        \(path):3: feed file `no.csv` cannot be used: no such file or directory
        \(directory.path)/cron.yaml:2: the schedule name `a` is used twice; first in \(path):4
        """)
  }

  @Test func aMissingConfigIsOneProblem() {
    let report = HostConfig.load(path: "/nowhere/host.yaml").report
    #expect(report.description == "/nowhere/host.yaml: cannot be read: no such file or directory")
  }
}
