import Foundation
import Testing

@testable import HostConfig

/// The page on `host.yaml` says what the reader of it knows, no less and no more.
@Suite struct ConfigurationPageTests {
  private let page: String

  init() throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../Sources/TriggerHost/Documentation.docc/Configuration.md").standardized
    page = try String(contentsOf: file, encoding: .utf8)
  }

  /// The blocks of code after a heading.
  private func blocks(_ heading: String) throws -> [String] {
    let section = try #require(page.split(separator: "\n## \(heading)\n").last)
    let parts = section.split(separator: "\n## ")[0].components(separatedBy: "```")
    return parts.enumerated().filter { $0.offset % 2 == 1 }
      .map { $0.element.hasPrefix("yaml\n") ? String($0.element.dropFirst(5)) : $0.element }
  }

  /// First cells of the table after a heading.
  private func keys(_ heading: String) throws -> Set<String> {
    let section = try #require(page.split(separator: "\n## \(heading)\n").last)
    let rows = section.split(separator: "\n## ")[0].split(separator: "\n").filter { $0.hasPrefix("| `") }
    return Set(rows.map { String($0.split(separator: "`")[1]) })
  }

  @Test func whatItCallsDefaultsAreThey() throws {
    let text = try blocks("host.yaml")[0]
    let loaded = HostConfig.parse(text: text, file: "host.yaml")
    #expect(loaded.report.problems.isEmpty, "\(loaded.report)")
    var config = loaded.config
    #expect(config.scripts.line != nil)
    config.scripts.line = nil
    #expect("\(config)" == "\(HostConfig(file: "host.yaml"))")
    // All of them, but for those that have none.
    for key in HostConfig.keys where !["workers", "data", "tls"].contains(key) {
      #expect(text.split(separator: "\n").contains { $0.hasPrefix("\(key):") }, "\(key)")
    }
  }

  @Test func everyKeyIsExplained() throws {
    let explained = try keys("host.yaml")
    let sections: Set = ["queue", "limits", "log", "server_limits", "sessions"]
    #expect(explained.filter { !$0.contains(".") } == Set(HostConfig.keys).subtracting(sections))
    // A key that is not known is refused, so the block of defaults names those there are.
    var (section, nested) = ("", Set<String>())
    for line in try blocks("host.yaml")[0].split(separator: "\n") {
      let name = String(line.drop { $0 == " " }.prefix { $0 != ":" })
      if !line.hasPrefix(" ") {
        section = name
      } else if name != "directory" {
        nested.insert("\(section).\(name)")
      }
    }
    #expect(explained.filter { $0.contains(".") } == nested)
    #expect(try keys("Feeds") == Set(FeedSettings.keys))
    #expect(try keys("Cron files") == Set(ScheduleEntry.keys))
  }

  @Test func itsExamplesAreRight() throws {
    let feeds = HostConfig.parse(text: try blocks("Feeds")[0], file: "host.yaml")
    #expect(feeds.report.problems.isEmpty && feeds.config.feeds.count == 1, "\(feeds.report)")
    let cron = try blocks("Cron files")
    let yaml = parseCronFile(text: cron[0], file: "cron.yaml")
    let crontab = parseCronFile(text: cron[1], file: "crontab")
    #expect(yaml.report.problems.isEmpty && crontab.report.problems.isEmpty)
    #expect(yaml.entries.map(\.job.action) == crontab.entries.map(\.job.action))
    #expect(yaml.entries.map(\.job.payload) == crontab.entries.map(\.job.payload))
  }
}
