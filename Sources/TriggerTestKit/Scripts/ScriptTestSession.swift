import Foundation
import TriggerCore
import TriggerHost
import TriggerWorkshop
import TriggerLua

/// The run of one test file: a Lua state of its own with the prelude `test.lua`, and the hosts that its tests ask
/// for. One thread, but for the watch.
final class ScriptTestSession {
  private let tests: ScriptTests
  private let path: String
  private let sources: ScriptSources
  private let lua: LuaWorker
  private let limits = LuaLimits(memoryBytes: 256 << 20, valueBytes: 64 << 20)
  /// Tests by their number, from 1, as the file made them known.
  private var known: [ScriptTestResult] = []
  private var failures: [ScriptTestFailure] = []
  private var output: [String] = []
  private var outputBytes = 0
  private var hosts: [ScriptTestHost] = []
  /// Answer to the last call of the prelude, for as long as Lua looks at it.
  private var answer: [UInt8] = []
  private let limit: TestLimit
  /// Which call of the running test took all its time.
  private var outOfTime: OutOfTime?
  private let progress: TestProgress

  init(_ tests: ScriptTests, _ path: String, _ progress: TestProgress) {
    self.tests = tests
    self.path = path
    self.progress = progress
    sources = ScriptSources(tests.tree.contents)
    guard let lua = LuaWorker(host: Self.functions) else { fatalError("no memory for a Lua state") }
    self.lua = lua
    limit = TestLimit(lua.control, tests.timeout, grace: tests.grace, whenStuck: { progress.giveUp() })
    lua.bind()
  }

  func run(_ isWanted: ([String]) -> Bool) -> ScriptTestFile {
    var file = ScriptTestFile(path: path)
    defer { limit.stop() }
    let tree = lua.makeTree(
      context: Unmanaged.passUnretained(sources).toOpaque(), commitNanoseconds: 0, seed: 0)
    guard let tree else { fatalError("no memory for a Lua state") }
    defer { lua.free(tree) }
    let session: LuaSession
    do { session = try LuaSession(lua, tree: tree, prelude: Self.prelude) } catch {
      fatalError("the prelude of tests: \(error)")
    }
    file.error = limit.during { evaluate(session, tests.tree.files[path] ?? [], argument: 0) }
    stopHosts()
    file.output = output
    for number in known.indices where file.error == nil && isWanted(known[number].names) {
      progress.begin(known[number], after: file)
      if known[number].status != .pending { runTest(number, session) }
      file.results.append(known[number])
    }
    return file
  }

  private func runTest(_ number: Int, _ session: LuaSession) {
    failures = []
    output = []
    let started = ContinuousClock.now
    let error = limit.during { evaluate(session, nil, argument: number + 1) }
    if error != nil { known[number].waiting = hosts.flatMap(\.waiting) }
    stopHosts()
    known[number].duration = ContinuousClock.now - started
    known[number].failures = failures
    known[number].output = output
    // A failed expectation ends its test with an error that says no more.
    if failures.isEmpty { known[number].error = error }
    known[number].status = failures.isEmpty && error == nil ? .passed : .failed
  }

  private func stopHosts() {
    for host in hosts { host.stop() }
    hosts = []
  }

  /// Returns what went wrong, nil when all went well.
  private func evaluate(_ session: LuaSession, _ text: [UInt8]?, argument: Int) -> String? {
    outOfTime = nil
    let empty = UnsafeRawBufferPointer(start: nil, count: 0)
    let status = session.run(
      text, name: "@\(path)", argument: CanonicalEncoding.encode(.int(Int64(argument))),
      attempt: Unmanaged.passUnretained(self).toOpaque(),
      info: LuaAttemptInfo(
        seq: 0, admissionNanoseconds: ScriptTestHost.start.nanoseconds, randomSeed: 0, trigger: empty,
        eventName: empty),
      limits: limits)
    switch status {
    case .ok: return nil
    case .killed:
      let why = "timeout: it does not end within \(TimeSpan.format(tests.timeout))"
      return message(lua.errorText).replacing(
        "timeout: the attempt used up its time", with: outOfTime.map { "\(why): \($0)" } ?? why)
    default: return message(lua.errorText)
    }
  }

  /// With a place of the tests at its beginning: `error({})` and `error("x", 0)` name none.
  private func message(_ text: String) -> String {
    var text = text.withoutFrames(of: "[session]")
    // Ended in a call of the prelude's: the place in the test is in the traceback.
    if text.hasPrefix("[session]:"), let end = text.firstRange(of: ": ") {
      text = String(text[end.upperBound...])
    }
    let lines = text.split(separator: "\n")
    let place = lines.lazy.compactMap { line -> Substring? in
      guard line.hasPrefix("\t"), !line.hasPrefix("\t["), let end = line.firstRange(of: ": in ") else {
        return nil
      }
      return line[line.index(after: line.startIndex)..<end.lowerBound]
    }.first
    guard let place, let first = lines.first, !Self.hasPlace(first) else {
      return text.withoutIdleTraceback
    }
    return "\(place): \(text)".withoutIdleTraceback
  }

  /// Whether a line begins with `file:line: `.
  private static func hasPlace(_ line: Substring) -> Bool {
    let parts = line.split(separator: ":", maxSplits: 2)
    return parts.count == 3 && Int(parts[1]) != nil && parts[2].hasPrefix(" ")
  }

  private static let prelude = LuaSources.prelude(PackageResources.test_lua)

  // MARK: What the prelude asks

  private static let functions = LuaHostFunctions(
    store: { _, _, _, _, _ in nil }, get: { _, _, _, _, _ in nil }, scanBegin: { _, _, _, _ in nil },
    scanNext: { _, _, _, _, _ in 0 }, count: { _, _, _, _ in 0 }, version: { _, _ in 0 },
    log: { attempt, _, message, count, _, _, _ in
      guard let attempt else { return }
      let text = String(decoding: UnsafeRawBufferPointer(start: message, count: count), as: UTF8.self)
      Unmanaged<ScriptTestSession>.fromOpaque(attempt).takeUnretainedValue().keep(text)
    },
    source: { sources, path, length in
      let sources = Unmanaged<ScriptSources>.fromOpaque(sources!).takeUnretainedValue()
      guard let text = sources.text(String(cString: path!)) else { return nil }
      length!.pointee = text.count
      return text.baseAddress
    },
    call: { attempt, name, count, argument, argumentCount, result, resultCount in
      let session = Unmanaged<ScriptTestSession>.fromOpaque(attempt!).takeUnretainedValue()
      let name = String(decoding: UnsafeRawBufferPointer(start: name, count: count), as: UTF8.self)
      let answer = session.answer(name, UnsafeRawBufferPointer(start: argument, count: argumentCount))
      result!.pointee = answer.bytes?.baseAddress
      resultCount!.pointee = answer.bytes?.count ?? 0
      return answer.isError ? 1 : 0
    })

  /// Most lines that one test may print: one that prints in a loop fills no report.
  private static let (linesKept, bytesKept) = (1000, 256 << 10)

  private static let cut = "... (what else it prints is not kept)"

  private func keep(_ line: String) {
    if output.isEmpty { outputBytes = 0 }
    if output.last == Self.cut { return }
    let isFull = output.count == Self.linesKept || outputBytes > Self.bytesKept
    outputBytes += line.utf8.count
    output.append(isFull ? Self.cut : line)
  }

  /// Never throws: it is called with frames of Lua below.
  private func answer(
    _ name: String, _ argument: UnsafeRawBufferPointer
  ) -> (isError: Bool, bytes: UnsafeBufferPointer<UInt8>?) {
    do {
      guard let value = try reply(name, Fields(try CanonicalEncoding.decode(argument))) else {
        return (false, nil)
      }
      answer = CanonicalEncoding.encode(value)
      return (false, answer.withUnsafeBufferPointer { $0 })
    } catch {
      if let error = error as? OutOfTime {
        outOfTime = error
        // Now, and not at the next look at the clock: nothing of the test runs any more.
        lua.control.kill(lua.control.running, reason: .timeout)
      }
      answer = Array("\(error)".utf8)
      return (true, answer.withUnsafeBufferPointer { $0 })
    }
  }

  private func reply(_ name: String, _ fields: Fields) throws -> Value? {
    tests.interruption?(name)
    switch name {
    case "test":
      known.append(
        ScriptTestResult(
          names: fields.texts("names"), place: fields.text("place") ?? path,
          status: fields["pending"] == .bool(true) ? .pending : .passed))
      return nil
    case "failure":
      failures.append(ScriptTestFailure(fields))
      return nil
    case "run": return try run(fields)
    case "host":
      hosts.append(try ScriptTestHost(tests, limit, fields))
      return .int(Int64(hosts.count - 1))
    default:
      guard case .int(let number)? = fields["host"], hosts.indices.contains(Int(number)) else {
        throw ScriptTestError("this host belongs to another test: make one in each test, or in before_each")
      }
      return try hosts[Int(number)].reply(name, fields)
    }
  }

  private func run(_ fields: Fields) throws -> Value {
    let host = try ScriptTestHost(
      tests, limit, Fields(fields["options"] ?? .null), only: fields.text("trigger") ?? "")
    defer { host.stop() }
    return try host.run(fields)
  }
}

/// The fields of a table that came from Lua.
struct Fields {
  private let map: Value.Map

  init(_ value: Value) { if case .map(let map) = value { self.map = map } else { map = [:] } }

  subscript(name: String) -> Value? { map[name] }
  func text(_ name: String) -> String? { if case .string(let text)? = map[name] { text } else { nil } }
  func texts(_ name: String) -> [String] {
    guard case .array(let list)? = map[name] else { return [] }
    return list.compactMap { if case .string(let text) = $0 { text } else { nil } }
  }
}

/// What a test asked for cannot be.
struct ScriptTestError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

extension ScriptTestFailure {
  fileprivate init(_ fields: Fields) {
    place = fields.text("place") ?? ""
    what = fields.text("what") ?? ""
    path = fields.text("path") ?? ""
    expected = fields.text("expected") ?? ""
    got = fields.text("got") ?? ""
    note = fields.text("note")
    wholeExpected = fields.text("whole_expected")
    wholeGot = fields.text("whole_got") ?? ""
  }
}
