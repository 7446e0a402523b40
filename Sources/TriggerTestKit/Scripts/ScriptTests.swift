import Foundation
import TriggerCore
import TriggerHost

/// The tests in a script tree: its `*_test.lua` files, in describe/it style, run on the real engine.
///
/// ```swift
/// for file in await ScriptTests(tree: tree).run() { #expect(file.isGood) }
/// ```
///
/// How tests are written is in `TestingScripts.md`.
public struct ScriptTests: Sendable {
  /// What the tests run against.
  public var tree: ScriptTree
  /// Jobs beside those of the scripts, as a cron file has them: what `host:advance` fires too.
  public var schedules: [ScheduledJob] = []
  /// Names of the stores that exist from the start.
  public var stores: [String] = []
  /// Limits of the executions. Workers, order and seed are the tests' own.
  public var configuration = EngineConfiguration(workers: 1)
  /// Wall time of one test, with everything that it asks of hosts, and of the text of a file.
  public var timeout: Duration = .seconds(10)
  /// So long after its time a test may take to end before its file is given up: it is stuck in C.
  package var grace: Duration = .seconds(10)
  /// Called when a test asks a host for something: for tests that make one stuck.
  package var interruption: (@Sendable (_ call: String) -> Void)?

  /// Tests of the files in `tree`; broken scripts matter to those tests only that run them.
  public init(tree: ScriptTree) { self.tree = tree }

  /// Paths of the test files, in order.
  public var files: [String] { tree.files.keys.filter { $0.hasSuffix("_test.lua") }.sorted() }

  /// Whether to run a test, by file and names.
  public typealias Filter = @Sendable (_ file: String, _ names: [String]) -> Bool

  /// Runs the tests of all files, one after another, on threads of their own.
  ///
  /// - Parameter isWanted: tests that are not wanted give no results.
  public func run(isWanted: @escaping Filter = { _, _ in true }) async -> [ScriptTestFile] {
    var results: [ScriptTestFile] = []
    for file in files { results.append(await run(file, isWanted: isWanted)) }
    return results
  }

  /// Runs the tests of one file, on a thread made for it: Lua, and what waits for the engine, stay off the
  /// cooperative pool.
  public func run(_ file: String, isWanted: @escaping Filter = { _, _ in true }) async -> ScriptTestFile {
    await withCheckedContinuation { continuation in
      let progress = TestProgress(file) { continuation.resume(returning: $0) }
      let thread = Thread { progress.end(ScriptTestSession(self, file, progress).run { isWanted(file, $0) }) }
      thread.name = "script-tests"
      thread.stackSize = 16 << 20
      thread.start()
    }
  }
}

/// What came of the tests of one file.
public struct ScriptTestFile: Sendable {
  /// Relative path in the script tree.
  public var path: String
  /// Why the file could not be run to its end (`file:line: message`); nil when it could.
  public var error: String?
  /// In the order of the file.
  public var results: [ScriptTestResult] = []
  /// What the file printed outside of tests.
  public var output: [String] = []

  /// No test failed, and the file could be run.
  public var isGood: Bool { error == nil && !results.contains { $0.status == .failed } }
}

/// What came of one test.
public struct ScriptTestResult: Sendable {
  /// How a test ended.
  public enum Status: String, Sendable {
    /// `failed`: an expectation did not hold, or an error was raised. `pending`: it was not run.
    case passed, failed, pending
  }

  /// Those of the groups that it is in, then its own.
  public var names: [String]
  /// Where it is: `counter_test.lua:12`.
  public var place: String
  /// How it ended.
  public var status: Status
  /// Expectations that did not hold; more than one when the test caught the first.
  public var failures: [ScriptTestFailure] = []
  /// Message and traceback of an error that is no expectation; nil without one.
  public var error: String?
  /// Events that waited for the clock when it failed, and how to move it: `debounce of 'x' (event 'y'), due in 5s:
  /// host:advance("5s")`.
  public var waiting: [String] = []
  /// What it printed.
  public var output: [String] = []
  /// Wall time.
  public var duration: Duration = .zero
}

/// An expectation that does not hold.
public struct ScriptTestFailure: Sendable, Hashable {
  /// The expectation: `counter_test.lua:12`.
  public var place: String
  /// Its name, `equals`; with `never ` before it when it is turned round.
  public var what: String
  /// Path to the first place where the values differ, `.items[2].key`; empty: all of it.
  public var path: String
  /// What was expected there, as Lua text.
  public var expected: String
  /// What was there, as Lua text.
  public var got: String
  /// The whole values, when `path` is inside of them.
  public var whole: (expected: String, got: String)? {
    get { wholeExpected.map { ($0, wholeGot) } }
  }
  /// A hint where long texts differ.
  public var note: String?

  var wholeExpected: String?
  var wholeGot = ""
}
