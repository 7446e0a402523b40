import Foundation
import TriggerCore
import TriggerHost
import TriggerFiles

extension HostConfig {
  /// A config as far as it could be read, and everything that is wrong with it. Use the config only
  /// when the report is good: what was wrong has its default in it.
  package struct Loaded: Sendable {
    package var config: HostConfig
    package var report: ConfigReport

    package init(config: HostConfig, report: ConfigReport) {
      self.config = config
      self.report = report
    }
  }

  /// Reads the config at `path`, its cron files, and checks that the files it names exist.
  package static func load(path: String) -> Loaded {
    switch readTextFile(path, name: path) {
    case .failure(let problem):
      return Loaded(config: HostConfig(file: path), report: ConfigReport([problem]))
    case .success(let text):
      var loaded = parse(text: text, file: path)
      loaded.readCronFiles()
      loaded.checkFiles()
      return loaded
    }
  }

  /// Checks a config's text alone; opens no other file.
  ///
  /// - Parameter file: the name to show in messages; paths count from the directory in it.
  package static func parse(text: String, file: String) -> Loaded {
    let reader = ConfigReader(file: file)
    var parsing = ConfigReport()
    let root = ConfigNode.parse(text, file: file, report: &parsing)
    reader.add(parsing)
    var config = HostConfig(file: file)
    if let root, let map = MapReader(root, path: "", keys: keys, reader: reader) { config.read(map) }
    var report = reader.report
    report.add(duplicateNames(in: config.schedules))
    return Loaded(config: config, report: report)
  }

  static let keys = [
    "scripts", "cron", "order", "workers", "strict_stores", "queue", "limits", "data", "durability", "log",
    "stop_timeout", "listen", "stores", "log_level", "feeds", "schedules", "host_names", "cors", "tls",
    "server_limits", "sessions",
  ]

  private mutating func read(_ map: MapReader) {
    readScripts(map)
    cron = map.list("cron", orSingle: true).compactMap { node in
      if case .scalar(let text, _) = node.content, !text.isEmpty { return path(text, line: node.line) }
      map.reader.fail(node, "cron: expected the name of a cron file, got \(node.excerpt)")
      return nil
    }
    order = map.choice("order") ?? order
    workers = map.integer("workers", in: 1...64)
    strictStores = map.bool("strict_stores") ?? strictStores
    readQueue(map)
    readLimits(map)
    if let text = map.string("data"), let node = map.node("data") { data = path(text, line: node.line) }
    durability = map.choice("durability") ?? durability
    readLog(map)
    stopTimeout = map.timeSpan("stop_timeout", allowZero: true) ?? stopTimeout
    readListen(map)
    readStores(map)
    logLevel = map.choice("log_level") ?? logLevel
    readFeeds(map)
    schedules = map.schedules("schedules")
    readServer(map)
    readSessions(map)
  }

  /// A directory, or a map with one.
  private mutating func readScripts(_ map: MapReader) {
    guard let node = map.node("scripts") else { return }
    guard case .map = node.content else {
      if let text = map.string("scripts") { scripts = path(text, line: node.line) }
      return
    }
    guard let section = map.map("scripts", keys: ["directory", "watch", "verify_last"]) else { return }
    if let text = section.string("directory") { scripts = path(text, line: node.line) }
    reload.watch = section.choice("watch") ?? reload.watch
    reload.verifyLast = section.integer("verify_last", in: 0...1_000_000) ?? reload.verifyLast
  }

  private mutating func readQueue(_ map: MapReader) {
    guard let section = map.map("queue", keys: ["capacity", "when_full"]) else { return }
    queue.capacity = section.integer("capacity", in: 1...100_000_000) ?? queue.capacity
    queue.whenFull = section.choice("when_full") ?? queue.whenFull
  }

  private mutating func readLimits(_ map: MapReader) {
    let keys = [
      "timeout", "memory", "max_timeout", "max_memory", "max_priority", "hold", "grace", "hops", "emits",
      "offspring", "keys",
    ]
    guard let section = map.map("limits", keys: keys) else { return }
    limits.timeout = section.timeSpan("timeout") ?? limits.timeout
    limits.memory = section.byteSize("memory") ?? limits.memory
    limits.hold = section.timeSpan("hold") ?? limits.hold
    limits.grace = section.timeSpan("grace", allowZero: true) ?? limits.grace
    limits.hops = section.integer("hops", in: 1...250) ?? limits.hops
    limits.emits = section.integer("emits", in: 1...1_000_000) ?? limits.emits
    limits.keys = section.integer("keys", in: 1...1_000_000_000) ?? limits.keys
    limits.offspring = section.integer("offspring", in: 1...100_000_000) ?? limits.offspring
    readCeilings(section)
    if limits.memory < 1 << 20 { section.fail("memory", "a script needs at least 1mb") }
    if limits.grace > limits.hold {
      section.fail(section.has("grace") ? "grace" : "hold", "grace must not be longer than hold")
    }
  }

  /// What scripts have without a word of theirs is always allowed.
  private mutating func readCeilings(_ section: MapReader) {
    limits.most.timeout = section.timeSpan("max_timeout") ?? max(limits.most.timeout, limits.timeout)
    limits.most.memory = section.byteSize("max_memory") ?? max(limits.most.memory, limits.memory)
    limits.most.priority =
      section.scalar("max_priority", expected: "critical, high, normal or low") { text, _ in Priority(text) }
      ?? limits.most.priority
    if limits.most.timeout < limits.timeout {
      section.fail("max_timeout", "must not be less than timeout, \(TimeSpan.format(limits.timeout))")
    }
    if limits.most.memory < limits.memory {
      section.fail("max_memory", "must not be less than memory, \(ByteSize(bytes: limits.memory))")
    }
  }

  private mutating func readLog(_ map: MapReader) {
    guard let section = map.map("log", keys: ["retain", "checkpoint"]) else { return }
    log.checkpoint = section.timeSpan("checkpoint") ?? log.checkpoint
    // A span, a size, or both; `all` is the default.
    for node in section.list("retain", orSingle: true) {
      guard case .scalar(let text, _) = node.content, text != "all" else { continue }
      if let span = try? TimeSpan.parse(text), span > .zero {
        log.retainAge = span
      } else if let size = try? ByteSize(parsing: text) {
        log.retainBytes = size.bytes
      } else {
        map.reader.fail(
          node, "log.retain: expected all, a time span like 720h or a size like 10gb, got \(node.excerpt)")
      }
    }
  }

  private mutating func readListen(_ map: MapReader) {
    guard let text = map.string("listen") else { return }
    do throws(ListenAddress.Fault) { listen = try ListenAddress(parsing: text) } catch {
      map.fail("listen", error.description)
    }
  }

  private mutating func readSessions(_ map: MapReader) {
    guard let section = map.map("sessions", keys: ["keep", "messages", "most"]) else { return }
    sessions.keep = section.timeSpan("keep") ?? sessions.keep
    sessions.messages = section.integer("messages", in: 1...1_000_000) ?? sessions.messages
    sessions.most = section.integer("most", in: 1...10_000_000) ?? sessions.most
  }

  private mutating func readStores(_ map: MapReader) {
    guard let section = map.openMap("stores") else { return }
    for entry in section.all {
      if let fault = HostConfig.faultOfStoreName(entry.key) {
        map.reader.fail(
          line: entry.line, column: entry.column, "stores: the name `\(entry.key)` \(fault)")
      }
      stores[entry.key] = Store.read(
        entry, path: section.join(entry.key), config: self, reader: map.reader)
    }
    filesUsedTwice(map.reader)
  }

  private static func faultOfStoreName(_ name: String) -> String? {
    if name.isEmpty { return "is empty" }
    if name.hasPrefix(".") { return "must not begin with a dot: such stores are the host's own" }
    if name.utf8.count > 128 { return "is longer than 128 bytes" }
    if name.contains("/") || name.contains("*") { return "must not contain `/` or `*`" }
    return name.unicodeScalars.allSatisfy(isVisible) ? nil : "must not contain spaces"
  }

  private mutating func readFeeds(_ map: MapReader) {
    var lines: [String: Int] = [:]
    for (index, node) in map.list("feeds").enumerated() {
      guard let feed = FeedSettings.read(node, path: "feeds[\(index)]", config: self, reader: map.reader)
      else { continue }
      if let first = lines[feed.name] {
        map.reader.fail(node, "the feed name `\(feed.name)` is used twice; first on line \(first)")
      }
      lines[feed.name] = lines[feed.name] ?? node.line
      feeds.append(feed)
    }
  }

  /// A path of this config, resolved.
  func path(_ text: String, line: Int) -> Path {
    Path(text: text, resolved: resolve(text, below: HostConfig.directory(of: file)), line: line)
  }
}

extension HostConfig.Loaded {
  fileprivate mutating func readCronFiles() {
    for path in config.cron {
      guard exists(path, kind: .file, what: "cron file") else { continue }
      let cron = loadCronFile(path: path.resolved)
      report.add(cron.report)
      config.schedules += cron.entries
    }
    // Each file has reported its own twins; what is left are twins across files.
    let known = Set(report.problems)
    for twin in duplicateNames(in: config.schedules).problems where !known.contains(twin) {
      report.add(twin)
    }
  }

  fileprivate mutating func checkFiles() {
    _ = exists(config.scripts, kind: .directory, what: "scripts directory")
    for feed in config.feeds { _ = exists(feed.file, kind: .file, what: "feed file") }
    for (name, store) in config.stores.sorted(by: { $0.key < $1.key }) {
      if let files = store.files {
        _ = exists(files.directory, kind: .directory, what: "directory of store '\(name)',")
      }
    }
    if let tls = config.tls {
      _ = exists(tls.certificate, kind: .file, what: "certificate")
      _ = exists(tls.key, kind: .file, what: "key")
      if let authority = tls.clientCA { _ = exists(authority, kind: .file, what: "client_ca") }
    }
    for problem in config.overlaps(data: config.data?.resolved) { report.add(problem) }
  }

  private mutating func exists(_ path: HostConfig.Path, kind: FileStatus.Kind, what: String) -> Bool {
    let message: String
    if let status = FileStatus.of(path.resolved) {
      if status.kind == kind { return true }
      message =
        "\(what) `\(path.text)` is not a \(kind == .directory ? "directory" : "regular file") but "
        + status.kindInWords
    } else {
      message = "\(what) `\(path.text)` cannot be used: \(errorText(errno))"
    }
    report.add(ConfigProblem(file: config.file, line: path.line, message: message))
    return false
  }
}
