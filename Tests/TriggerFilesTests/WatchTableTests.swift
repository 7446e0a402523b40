import Testing

@testable import TriggerFiles

/// What events mean, without a directory.
@Suite struct WatchTableTests {
  private var table: WatchTable = {
    var table = WatchTable(includes: { !$0.hasSuffix(".log") })
    _ = table.enter("", watch: 1)
    _ = table.enter("sub", watch: 2)
    return table
  }()

  @Test mutating func eventsNamePaths() {
    #expect(table.meaning(of: WatchEvent(watch: 1, kind: .written, name: "a")).dirt.paths == ["a"])
    #expect(table.meaning(of: WatchEvent(watch: 2, kind: .vanished, name: "a")).dirt.paths == ["sub/a"])
    let new = table.meaning(of: WatchEvent(watch: 2, kind: .created, isDirectory: true, name: "d"))
    #expect(new.dirt.paths == ["sub/d"] && new.newDirectories == ["sub/d"])
    // Somebody is about to write it.
    let file = table.meaning(of: WatchEvent(watch: 1, kind: .created, name: "a"))
    #expect(file.dirt.isEmpty && file.newFiles == ["a"])
  }

  @Test mutating func someNamesDoNotCount() {
    for name in [".x", "x~", "#x#", "x.swp", "4913", "x.tmp", "x___jb_tmp___", "x.bak"] {
      for kind in [WatchEvent.Kind.written, .created, .appeared, .vanished, .attributes] {
        #expect(table.meaning(of: WatchEvent(watch: 1, kind: kind, name: name)) == WatchTable.Meaning())
      }
    }
    #expect(table.meaning(of: WatchEvent(watch: 1, kind: .written, name: "x.log")).dirt.isEmpty)
    #expect(table.meaning(of: WatchEvent(watch: 7, kind: .written, name: "x")).dirt.isEmpty)
  }

  @Test mutating func lostEventsAndWatches() {
    #expect(table.meaning(of: WatchEvent(watch: -1, kind: .overflow)).dirt == .everything)
    #expect(table.meaning(of: WatchEvent(watch: 2, kind: .watchGone)).dirt.paths == ["sub"])
    #expect(table.meaning(of: WatchEvent(watch: 2, kind: .written, name: "a")).dirt.isEmpty)
    // The root itself.
    #expect(table.meaning(of: WatchEvent(watch: 1, kind: .selfGone)).dirt.paths == [""])
    let odd = WatchEvent(watch: 1, kind: .written, name: "\u{FFFD}", isUTF8: false)
    #expect(table.meaning(of: odd).dirt.paths == [""])
  }

  @Test mutating func aMovedDirectoryKeepsItsWatch() {
    #expect(table.enter("new", watch: 2) == nil)
    #expect(
      table.meaning(of: WatchEvent(watch: 2, kind: .written, name: "a")).dirt.paths == ["sub/a", "new/a"])
    #expect(table.leave("sub") == nil)
    #expect(table.meaning(of: WatchEvent(watch: 2, kind: .written, name: "a")).dirt.paths == ["new/a"])
    #expect(table.leave("new") == 2)
    #expect(table.leave("new") == nil)
  }

  @Test mutating func linksDependOnEntries() {
    #expect(table.watch(link: "a", through: [(watch: 1, name: "..data"), (watch: 9, name: "a")]).isEmpty)
    #expect(table.meaning(of: WatchEvent(watch: 1, kind: .appeared, name: "..data")).dirt.links)
    #expect(table.meaning(of: WatchEvent(watch: 9, kind: .written, name: "a")).dirt.links)
    #expect(!table.meaning(of: WatchEvent(watch: 9, kind: .written, name: "b")).dirt.links)
    #expect(table.watch(link: "a", through: [(watch: 1, name: "..data")]) == [9])
    // The directory is still in use.
    #expect(table.watch(link: "a", through: []).isEmpty)
    #expect(!table.meaning(of: WatchEvent(watch: 1, kind: .appeared, name: "..data")).dirt.links)
  }
}
