import Testing
import TriggerCore

/// Small public things that nothing else here uses by itself.
@Suite struct PublicCoreTests {
  @Test func datesAndTimes() throws {
    #expect([1900, 2000, 2023, 2024].map { CivilDate.isLeap(year: $0) } == [false, true, false, true])
    #expect((1...12).map { CivilDate.daysInMonth($0, ofYear: 2023) }.reduce(0, +) == 365)
    #expect(try Timestamp(parsing: "2026-01-01T00:00:00.25Z").utc.nanosecond == 250_000_000)
    #expect(OverlapMode.parallel.defaultInstances == 10 && OverlapMode.single.defaultInstances == 1)
  }

  @Test func sizes() throws {
    #expect(ByteSize.kilobytes(1024) == .megabytes(1) && ByteSize.megabytes(1024) == .gigabytes(1))
    let much = #expect(throws: ValueError.self) { try ByteSize(parsing: "much") }
    #expect(much?.code == .badByteSize)
    let limits = ValueLimits(encodedBytes: 3)
    let long = #expect(throws: ValueError.self) { try Value.string("long").validate(limits) }
    #expect(long?.code == .tooLarge)
  }

  @Test func texts() throws {
    // Of the published vectors of FNV-1a.
    #expect(StableHash.of("") == 0xcbf2_9ce4_8422_2325 && StableHash.of("a") == 0xaf63_dc4c_8601_ec8c)
    #expect(Suggestion.clause(for: "ordres", among: ["orders", "x"]) == "; did you mean 'orders'?")
    #expect(Suggestion.clause(for: "y", among: ["orders"]).isEmpty)
    #expect(Value.bytes([1]).bytesValue == [1] && Value.string("1").bytesValue == nil)
    let style: JSON.Style = .compact
    #expect(try JSON.text(["a": 1], style: style) == #"{"a":1}"#)
  }

  @Test func files() throws {
    #expect(FilePathPolicy.folded("A/É") == FilePathPolicy.folded("a/e\u{301}"))
    var policy = FilePathPolicy()
    (policy.pathBytes, policy.nameBytes) = (6, 3)
    let links: FilePathPolicy.Links = policy.links
    #expect(links == FilePathPolicy().links)
    let severity: FileProblem.Severity = .warning
    let problem = FileProblem(path: "a\nb", message: "is odd", severity: severity)
    #expect(problem.shownPath == #"a\u{a}b"# && problem.description == #"a\u{a}b: is odd"#)
    let (old, new) = (FileContent("1"), FileContent("2"))
    let id: FileContent.ID = old.id
    #expect(id == FileContent("1").id && id != new.id)
    var tree = FileTree(["a": old, "b": old])
    let difference: FileDifference = tree.apply(FileTree(["a": new, "c": new]).changes(since: tree))
    #expect(difference.added == ["c"] && difference.modified == ["a"] && difference.removed == ["b"])
  }

  @Test func crontabs() throws {
    let job: Crontab.Job = try #require(Crontab(parsing: "@every 90s event:beat\n").jobs.first)
    let rule: CronRule = job.rule
    #expect(rule == .every(.seconds(90)) && job.isEvent && job.target == "beat")
  }
}
