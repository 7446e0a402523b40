import Testing

import HostConfig

/// What is wrong is said with `file:line: message`, all of it in one pass.
@Suite struct BadConfigTests {
  static let span = "such as 250ms, 2s, 5m or 1h"

  static let table: [(text: String, problems: [String])] = [
    // Keys
    ("sripts: x", ["1: unknown key `sripts`; did you mean 'scripts'?"]),
    ("queue:\n  capcity: 5", ["2: unknown key `queue.capcity`; did you mean 'capacity'?"]),
    ("queue: { x: 5 }", ["1: unknown key `queue.x`; known here: capacity, when_full"]),
    ("workers: 1\norder: strict\nworkers: 2", ["3: `workers` is given twice; first on line 1"]),
    ("queue: { capacity: 1, capacity: 2 }", ["1: `capacity` is given twice in this mapping"]),
    ("? [a]\n: 1", ["1: a key must be plain text"]),
    // Scalars
    ("workers: 0", ["1: workers: expected a whole number from 1 to 64, got `0`"]),
    ("workers: '2'", ["1: workers: expected a whole number from 1 to 64, got `2`"]),
    ("workers: 2.5", ["1: workers: expected a whole number from 1 to 64, got `2.5`"]),
    ("workers: [2]", ["1: workers: expected a whole number from 1 to 64, got a list"]),
    ("strict_stores: yes", ["1: strict_stores: expected true or false, got `yes`"]),
    (
      "order: stric",
      ["1: order: expected one of deferring, strict, got `stric`; did you mean 'strict'?"]
    ),
    (
      "log_level: loud",
      ["1: log_level: expected one of trace, debug, info, notice, warning, error, critical, got `loud`"]
    ),
    ("scripts: { directry: a }", ["1: unknown key `scripts.directry`; did you mean 'directory'?"]),
    // Sections
    ("queue: 5", ["1: queue: expected a mapping (`key: value`), got `5`"]),
    ("- a", ["1: the file: expected a mapping (`key: value`), got a list"]),
    ("feeds: {}", ["1: feeds: expected a list (`- …`), got a mapping"]),
    (
      "limits: { timeout: 2s, max_timeout: 1s, memory: 64mb, max_memory: 32mb, max_priority: urgent }",
      [
        "1: limits.max_priority: expected critical, high, normal or low, got `urgent`",
        "1: limits.max_timeout: must not be less than timeout, 2s",
        "1: limits.max_memory: must not be less than memory, 64mb",
      ]
    ),
    ("limits: { timeout: 200 }", ["1: limits.timeout: expected a time span above 0 \(span), got `200`"]),
    ("limits: { timeout: 0ms }", ["1: limits.timeout: expected a time span above 0 \(span), got `0ms`"]),
    ("limits: { memory: 64 }", ["1: limits.memory: a script needs at least 1mb"]),
    ("limits: { memory: 1kb }", ["1: limits.memory: a script needs at least 1mb"]),
    ("limits: { grace: 1s }", ["1: limits.grace: grace must not be longer than hold"]),
    ("limits: { hops: 251 }", ["1: limits.hops: expected a whole number from 1 to 250, got `251`"]),
    (
      "limits: { offspring: 0 }",
      ["1: limits.offspring: expected a whole number from 1 to 100000000, got `0`"]
    ),
    (
      "schedules: [{ name: a, cron: CRON_TZ=Asia/Tokyo 0 0 * * *, timezone: Europe/Berlin, trigger: t }]",
      ["1: schedules[0].cron: two time zones, Europe/Berlin and CRON_TZ=Asia/Tokyo: give one of them"]
    ),
    (
      "schedules: [{ name: a, cron: CRON_TZ=Asia/Tokio 0 0 * * *, timezone: Asia/Tokyo, trigger: t }]",
      ["1: schedules[0].cron: unknown time zone 'Asia/Tokio'; did you mean 'Asia/Tokyo'?"]
    ),
    ("stores: { a/b: {} }", ["1: stores: the name `a/b` must not contain `/` or `*`"]),
    (
      "stores: { .own: {} }",
      ["1: stores: the name `.own` must not begin with a dot: such stores are the host's own"]
    ),
    (
      "stores: { a: { backend: mem } }",
      ["1: stores.a.backend: expected one of memory, database, files, got `mem`"]
    ),
    // Database stores
    (
      "stores: { a: { backend: databse, file: x, columns: {} } }",
      [
        "1: stores.a.backend: expected one of memory, database, files, got `databse`; did you mean 'database'?"
      ]
    ),
    ("stores:\n  a: { file: x }", ["2: stores.a.file: applies to `backend: database` only"]),
    (
      "stores:\n  a: { backend: database, fil: x }",
      ["2: unknown key `stores.a.fil`; did you mean 'file'?"]
    ),
    (
      "stores:\n  a b-c: { backend: database }",
      [
        "2: stores: the name `a b-c` must not contain spaces",
        "2: stores.a b-c: the table name `a b-c` must be letters, digits and `_`, not beginning with a digit;"
          + " give it a `table`",
      ]
    ),
    (
      "stores:\n  a:\n    backend: database\n    table: sqlite_a",
      ["4: stores.a.table: the table name `sqlite_a` is reserved"]
    ),
    (
      "stores:\n  a:\n    backend: database\n    columns:\n      key: text\n      b: txt\n      c:\n      d: text\n      D: real",
      [
        "5: stores.a.columns: the column name `key` is a column of every table already",
        "6: stores.a.columns.b: expected one of text, integer, real, boolean, json, blob, got `txt`;"
          + " did you mean 'text'?",
        "7: stores.a.columns.c: expected a type, got nothing",
        "9: stores.a.columns: the column name `D` is used twice; SQL does not tell upper from lower case",
      ]
    ),
    (
      "stores:\n  a:\n    backend: database\n    columns: { symbol: text, bad: x }\n    indexes: [symbl, [bad, version], [], {}, version, version]",
      [
        "4: stores.a.columns.bad: expected one of text, integer, real, boolean, json, blob, got `x`",
        "5: stores.a.indexes[0]: no column is named `symbl`; did you mean 'symbol'?",
        "5: stores.a.indexes[2]: an index needs a column",
        "5: stores.a.indexes[3]: expected a column, got a mapping",
        "5: stores.a.indexes[5]: the same index is there already",
      ]
    ),
    (
      "stores:\n  a:\n    backend: database\n    migrations:\n    - CREATE VIEW v AS SELECT 1\n    - ''\n    - [x]",
      [
        "6: stores.a.migrations[1]: expected SQL, got nothing",
        "7: stores.a.migrations[2]: expected SQL, got a list",
      ]
    ),
    (
      "stores:\n  a: { backend: database, file: x.db }\n  b: { backend: database }\n  c: { backend: database, file: x.db }",
      ["4: stores.c.file: `x.db` is the file of store `a` already (line 2)"]
    ),
    // File stores
    (
      "stores:\n  a: { backend: files }\n  b: { backend: file, directory: x }",
      [
        "2: stores.a: `backend: files` needs a `directory`",
        "3: stores.b.backend: expected one of memory, database, files, got `file`; did you mean 'files'?",
      ]
    ),
    (
      "stores:\n  a: { backend: files, directry: x }",
      [
        "2: unknown key `stores.a.directry`; did you mean 'directory'?",
        "2: stores.a: `backend: files` needs a `directory`",
      ]
    ),
    (
      "stores:\n  a: { directory: x, file: y }\n  b: { backend: database, watch: poll }\n  c: { backend: files, directory: c, table: t }",
      [
        "2: stores.a.file: applies to `backend: database` only",
        "2: stores.a.directory: applies to `backend: files` only",
        "3: stores.b.watch: applies to `backend: files` only",
        "4: stores.c.table: applies to `backend: database` only",
      ]
    ),
    (
      "stores:\n  a:\n    backend: files\n    directory: x\n    watch: of\n    max_file: 2mb\n    max_total: 0\n    max_files: none",
      [
        "5: stores.a.watch: expected one of auto, poll, got `of`",
        "6: stores.a.max_file: a file must fit into a value: at most 1mb",
        "7: stores.a.max_total: expected a size such as 512kb, 64mb or 1gb, got `0`",
        "8: stores.a.max_files: expected a whole number from 1 to 1000000, got `none`",
      ]
    ),
    (
      "stores:\n  a: { backend: files, directory: x, max_file: 10kb, max_total: 9kb }",
      ["2: stores.a.max_total: max_total must not be less than max_file"]
    ),
    ("cron: [a.yaml, {}]", ["1: cron: expected the name of a cron file, got a mapping"]),
    // Feeds
    (
      "feeds:\n  - { nam: x }",
      [
        "2: unknown key `feeds[0].nam`; did you mean 'name'?", "2: feeds[0]: `name` is missing",
        "2: feeds[0]: `file` is missing", "2: feeds[0]: `event` is missing",
      ]
    ),
    (
      "feeds: [{ name: a, file: a.txt, event: e }]",
      ["1: feeds[0].file: expected a .csv or .jsonl file, or a `format`, got `a.txt`"]
    ),
    (
      "feeds:\n- { name: a, file: a.csv, event: e }\n- { name: a, file: a.csv, event: 'e *', rate: 0 }",
      [
        "3: feeds[1].event: expected an event name (no spaces, no `*`, at most 256 bytes), got `e *`",
        "3: feeds[1].rate: expected a number above 0, got `0`",
      ]
    ),
    (
      "feeds:\n- { name: a, file: a.csv, event: e }\n- { name: a, file: b.csv, event: e }",
      ["3: the feed name `a` is used twice; first on line 2"]
    ),
    (
      "feeds: [{ name: a, file: a.csv, event: e, delimiter: 'ab' }]",
      ["1: feeds[0].delimiter: expected one character such as `;` or `|`, or `tab`, got `ab`"]
    ),
    (
      "feeds: [{ name: a, file: a.csv, event: e, columns: { x: nummer } }]",
      [
        "1: feeds[0].columns.x: expected one of string, integer, number, boolean, skip, got `nummer`;"
          + " did you mean 'number'?"
      ]
    ),
    (
      "feeds: [{ name: a, file: a.csv, event: e, set: { x: 99999999999999999999, y: .nan } }]",
      [
        "1: feeds[0].set.x: the integer `99999999999999999999` is beyond 64 bits; quote it to keep it as text",
        "1: feeds[0].set.y: JSON has no `.nan`; leave it out or write it as text",
      ]
    ),
    // Schedules
    (
      "schedules:\n  - { cron: '* * 31 2 *' }",
      [
        "2: schedules[0]: `name` is missing",
        "2: schedules[0].cron: column 5: no year has such a day: it would never fire",
        "2: schedules[0]: one of `trigger` or `event` must say what it starts",
      ]
    ),
    (
      "schedules:\n  - { name: a, cron: x, every: 1s, event: e, trigger: t }",
      [
        "2: schedules[0]: only one of `cron`, `every` and `at` may be given, got `cron` and `every`",
        "2: schedules[0]: only one of `trigger` and `event` may be given",
      ]
    ),
    (
      "schedules:\n  - { name: a, event: e }",
      ["2: schedules[0]: one of `cron`, `every` or `at` must say when it fires"]
    ),
    (
      "schedules:\n  - { name: a, event: e, at: 2026-02-29T00:00:00Z }",
      [
        "2: schedules[0].at: expected a time with its offset such as 2026-01-01T00:00:00Z,"
          + " got `2026-02-29T00:00:00Z`"
      ]
    ),
    (
      "schedules:\n  - name: a\n    event: e\n    cron: 0 9 * * sn\n    timezone: Europe/Berln\n    mode: singel",
      [
        "4: schedules[0].cron: column 9: `sn` is no day of week (0-7 (0 and 7 are Sunday), or sun-sat);"
          + " did you mean 'sun'?",
        "5: schedules[0].timezone: unknown time zone `Europe/Berln`; did you mean 'Europe/Berlin'?",
        "6: schedules[0].mode: expected one of single, restart, queued, parallel, got `singel`;"
          + " did you mean 'single'?",
      ]
    ),
    (
      "schedules:\n  - { name: a, event: e, every: 1s, dst: once }",
      ["2: schedules[0].dst: applies to `cron` only; `every` and `at` do not depend on a wall clock"]
    ),
    (
      "schedules:\n  - { name: a, event: e, every: 1s }\n  - { name: a, event: e, every: 1s }",
      ["3: the schedule name `a` is used twice; first on line 2"]
    ),
    // YAML itself
    (
      "queue: { a",
      [
        "1: not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'"
      ]
    ),
    ("a: *nobody", ["1: not valid YAML: found undefined alias"]),
    // What everybody writes first
    (
      "schedules:\n  - name: a\n    cron: */5 0,30 * * *   # often\n    event: e",
      ["3: a value that begins with `*` must stand in quotes: cron: \"*/5 0,30 * * *\""]
    ),
    (
      "schedules:\n  - { name: a, cron: * * * * *, event: e }",
      ["2: a value that begins with `*` must stand in quotes: cron: \"* * * * *\""]
    ),
    (
      "schedules:\n  - event: e\n    cron: @daily",
      ["3: a value that begins with `@` must stand in quotes: cron: \"@daily\""]
    ),
    (
      "schedules:\n  - {cron: @every 5m}",
      ["2: a value that begins with `@` must stand in quotes: cron: \"@every 5m\""]
    ),
    ("scripts: !!binary aGk=", ["1: the tag `tag:yaml.org,2002:binary` is not supported"]),
  ]

  @Test(arguments: table)
  func saysWhatIsWrong(text: String, problems: [String]) {
    let report = HostConfig.parse(text: text, file: "host.yaml").report
    #expect(report.sorted.map(\.description) == problems.map { "host.yaml:\($0)" })
    #expect(!report.isGood)
  }

  @Test func aliasesAreBounded() {
    let some = "stores:\n  a: &x { backend: memory }\n  b: *x\n"
    #expect(HostConfig.parse(text: some, file: "f").report.problems.isEmpty)

    let many = "cron: [&x a" + String(repeating: ", *x", count: 65) + "]"
    #expect(
      HostConfig.parse(text: many, file: "f").report.description
        == "f:1: more than 64 aliases (`*name`)")

    var laughs = "schedules:\n- name: a\n  event: e\n  every: 1s\n  payload:\n    l0: &l0 [x, x]\n"
    for level in 1...25 { laughs += "    l\(level): &l\(level) [*l\(level - 1), *l\(level - 1)]\n" }
    let report = HostConfig.parse(text: laughs, file: "f").report
    #expect(report.description.contains("more than 100000 values, with all aliases expanded"))
  }

  @Test func sizeAndDepthAreBounded() {
    let large = "# " + String(repeating: "x", count: 1 << 20)
    #expect(
      HostConfig.parse(text: large, file: "f").report.description
        == "f: larger than 1 MiB; a config is meant to be small")
    let brackets = "a: " + String(repeating: "[", count: 100_000)
    #expect(
      HostConfig.parse(text: brackets, file: "f").report.description == "f:1: brackets nested too deep")
    let dashes = String(repeating: "- ", count: 200) + "x"
    #expect(
      HostConfig.parse(text: dashes, file: "f").report.problems.first?.message
        == "nested deeper than 64 levels")
  }

  @Test func textThatIsNotUTF8HasALine() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("host.yaml", Array("workers: 1\nscripts: ".utf8) + [0xFF, 0x0A])
    #expect(HostConfig.load(path: path).report.description == "\(path):2: not UTF-8 text: 0xff at byte 10")
  }
}
