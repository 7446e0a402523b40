import Foundation
import TriggerCore
import TriggerRuntime
import TriggerTestKit

/// What one run of the tests came to.
struct TestRun {
  var files: [ScriptTestFile]
  /// What the files' paths count from.
  var root: String
  var duration: Duration
  /// What names of tests must contain.
  var filter: String?
  /// What is wrong with scripts, and with what names them: triggers that are not there to be tested.
  var mistakes: [Finding]

  var results: [ScriptTestResult] { files.flatMap(\.results) }
  /// A run without any test proves nothing.
  var isGood: Bool { mistakes.isEmpty && files.allSatisfy(\.isGood) && !results.isEmpty }
  func count(_ status: ScriptTestResult.Status) -> Int { results.count { $0.status == status } }
  /// Files that could not be run to their end.
  var brokenFiles: Int { files.count { $0.error != nil } }

  /// Files with mistakes, each with what `check` says of it.
  private var mistaken: [(file: String, text: String)] {
    Dictionary(grouping: mistakes, by: \.file)
      .map { ($0.key, $0.value.map(\.text).joined(separator: "\n")) }.sorted { $0.0 < $1.0 }
  }

  /// A text of Lua's with names that an editor here can open.
  func placed(_ text: String) -> String { ScriptPlaces(root: root).named(text) }
}

// MARK: - For people

extension TestRun {
  func text(_ paint: Paint, isVerbose: Bool) -> TerminalText {
    var lines: [TerminalText] = []
    for file in files { lines += text(of: file, paint, isVerbose) }
    let failed = files.flatMap { file in file.results.filter { $0.status == .failed } }
    for result in failed { lines += [""] + details(of: result, paint) }
    return (lines + ["", summary(paint)]).joined(separator: "\n")
  }

  private func text(of file: ScriptTestFile, _ paint: Paint, _ isVerbose: Bool) -> [TerminalText] {
    let name = FilePath.join(root, file.path)
    let time = file.results.reduce(Duration.zero) { $0 + $1.duration }
    let summary = paint.faint("\(counted(file.results.count, "test")), \(Self.milliseconds(time))")
    var lines: [TerminalText] = ["\(mark(file.isGood ? .passed : .failed, paint)) \(name)  \(summary)"]
    lines += file.output.map { "  | \($0)" }
    if let error = file.error { lines += indented(placed(error), by: 2).map { paint.bad($0) } }
    guard isVerbose else { return lines }
    for result in file.results {
      lines.append(
        "  \(mark(result.status, paint)) \(Self.name(result))  \(paint.faint("\(Self.milliseconds(result.duration))"))"
      )
      if result.status != .failed { lines += result.output.map { "    | \($0)" } }
    }
    return lines
  }

  private func details(of result: ScriptTestResult, _ paint: Paint) -> [TerminalText] {
    var lines: [TerminalText] = ["\(mark(.failed, paint)) \(paint.strong("\(Self.name(result))"))"]
    for failure in result.failures {
      let place = failure.path.isEmpty ? "" : ": differs at \(failure.path)"
      lines.append("  \(placed(failure.place)): \(failure.what)\(place)")
      lines += labelled("expected", failure.expected, paint.good) + labelled("got", failure.got, paint.bad)
      if let note = failure.note { lines.append("    \(paint.faint("\(note)"))") }
      if let whole = failure.whole {
        lines += ["    \(paint.faint("all of it"))"]
        lines += labelled("expected", whole.expected, paint.faint) + labelled("got", whole.got, paint.faint)
      }
    }
    if let error = result.error { lines += indented(placed(error), by: 2).map { paint.bad($0) } }
    lines += result.waiting.prefix(Self.waitingShown).map { "  \(paint.faint("waits for the clock: \($0)"))" }
    let more = result.waiting.count - Self.waitingShown
    if more > 0 { lines.append("  \(paint.faint("and \(more) more"))") }
    return lines + result.output.map { "  | \($0)" }
  }

  private static let waitingShown = 5

  private func labelled(_ label: String, _ text: String, _ paint: (TerminalText) -> TerminalText)
    -> [TerminalText]
  {
    let parts = text.split(separator: "\n", omittingEmptySubsequences: false)
    let pad = String(repeating: " ", count: 9 - label.count)
    return parts.enumerated().map { index, part in
      "    \(index == 0 ? label + pad : String(repeating: " ", count: 9))\(paint("\(part)"))"
    }
  }

  private func indented(_ text: String, by count: Int) -> [TerminalText] {
    text.split(separator: "\n").map { "\(String(repeating: " ", count: count))\($0)" }
  }

  private func summary(_ paint: Paint) -> TerminalText {
    if results.isEmpty, mistakes.isEmpty, files.allSatisfy(\.isGood) {
      let what: TerminalText? = filter.map { "No test in \(root) has '\($0)' in its name or its file's." }
      return paint.bad(
        what ?? "There is no test: put one into a file like \(FilePath.join(root, "hello_test.lua")).")
    }
    var parts = [paint.good("\(count(.passed)) passed")]
    parts.append(count(.failed) > 0 ? paint.bad("\(count(.failed)) failed") : "0 failed")
    if count(.pending) > 0 { parts.append(paint.doubtful("\(count(.pending)) pending")) }
    if brokenFiles > 0 { parts.append(paint.bad("\(counted(brokenFiles, "file")) could not be run")) }
    if !mistaken.isEmpty { parts.append(paint.bad("\(counted(mistaken.count, "file")) with mistakes")) }
    return "\(parts.joined(separator: ", "))\(paint.faint(" (\(Self.milliseconds(duration)))"))"
  }

  private func mark(_ status: ScriptTestResult.Status, _ paint: Paint) -> TerminalText {
    switch status {
    case .passed: paint.good("✓")
    case .failed: paint.bad("✗")
    case .pending: paint.doubtful("·")
    }
  }

  static func name(_ result: ScriptTestResult) -> String { result.names.joined(separator: " › ") }

  static func milliseconds(_ time: Duration) -> String {
    let milliseconds = time / .milliseconds(1)
    return milliseconds < 1000
      ? String(format: "%.0f ms", milliseconds) : String(format: "%.2f s", milliseconds / 1000)
  }
}

// MARK: - For programs

extension TestRun {
  var json: Value {
    [
      "good": .bool(isGood), "passed": .int(Int64(count(.passed))), "failed": .int(Int64(count(.failed))),
      "pending": .int(Int64(count(.pending))), "seconds": .double(duration / .seconds(1)),
      "problems": .array(mistakes.map(\.json)), "files": .array(files.map(json)),
    ]
  }

  private func json(_ file: ScriptTestFile) -> Value {
    var fields: Value.Map = [
      "path": .string(FilePath.join(root, file.path)), "output": .array(file.output.map { .string($0) }),
      "tests": .array(file.results.map(json)),
    ]
    if let error = file.error { fields["error"] = .string(placed(error)) }
    return .map(fields)
  }

  private func json(_ result: ScriptTestResult) -> Value {
    var fields: Value.Map = [
      "names": .array(result.names.map { .string($0) }), "place": .string(placed(result.place)),
      "status": .string(result.status.rawValue), "seconds": .double(result.duration / .seconds(1)),
      "output": .array(result.output.map { .string($0) }),
      "failures": .array(
        result.failures.map { failure in
          var fields: Value.Map = [
            "place": .string(placed(failure.place)), "what": .string(failure.what),
            "path": .string(failure.path),
            "expected": .string(failure.expected), "got": .string(failure.got),
          ]
          if let note = failure.note { fields["note"] = .string(note) }
          return .map(fields)
        }),
    ]
    if let error = result.error { fields["error"] = .string(placed(error)) }
    if !result.waiting.isEmpty { fields["waiting"] = .array(result.waiting.map { .string($0) }) }
    return .map(fields)
  }

  /// JUnit XML, as build servers read it: a suite for each file, a case for each test. A file that cannot be used is a
  /// case, too, whose error says why.
  var junit: String {
    let errors = brokenFiles + mistaken.count
    var lines = ["<?xml version=\"1.0\" encoding=\"UTF-8\"?>"]
    lines.append(
      "<testsuites name=\"trigger-host\" tests=\"\(results.count + errors)\" failures=\"\(count(.failed))\" errors=\"\(errors)\" skipped=\"\(count(.pending))\" time=\"\(seconds(duration))\">"
    )
    for (file, text) in mistaken {
      let name = escaped(file)
      lines.append(suite(name, tests: 1, errors: 1, time: .zero))
      lines += junit(unusable: name, text) + ["  </testsuite>"]
    }
    for file in files { lines += junit(file) }
    return (lines + ["</testsuites>", ""]).joined(separator: "\n")
  }

  private func junit(_ file: ScriptTestFile) -> [String] {
    let name = escaped(FilePath.join(root, file.path))
    let failed = file.results.count { $0.status == .failed }
    let pending = file.results.count { $0.status == .pending }
    let time = file.results.reduce(Duration.zero) { $0 + $1.duration }
    let errors = file.error == nil ? 0 : 1
    var lines = [
      suite(
        name, tests: file.results.count + errors, failures: failed, errors: errors, skipped: pending,
        time: time)
    ]
    if let error = file.error { lines += junit(unusable: name, placed(error)) }
    for result in file.results { lines += junit(result, file: name) }
    return lines + ["  </testsuite>"]
  }

  private func suite(
    _ name: String, tests: Int, failures: Int = 0, errors: Int, skipped: Int = 0, time: Duration
  ) -> String {
    "  <testsuite name=\"\(name)\" tests=\"\(tests)\" failures=\"\(failures)\" errors=\"\(errors)\" skipped=\"\(skipped)\" time=\"\(seconds(time))\">"
  }

  private func junit(unusable name: String, _ error: String) -> [String] {
    [
      "    <testcase classname=\"\(name)\" name=\"(the file)\" file=\"\(name)\">",
      "      <error message=\"\(escaped(firstLine(error)))\">\(escaped(error))</error>",
      "    </testcase>",
    ]
  }

  private func junit(_ result: ScriptTestResult, file: String) -> [String] {
    let group = result.names.dropLast().joined(separator: " › ")
    let line = result.place.split(separator: ":").last.map(String.init) ?? ""
    let head =
      "    <testcase classname=\"\(group.isEmpty ? file : escaped(group))\" name=\"\(escaped(result.names.last ?? ""))\" file=\"\(file)\" line=\"\(escaped(line))\" time=\"\(seconds(result.duration))\""
    var inside: [String] = []
    if result.status == .pending { inside.append("      <skipped/>") }
    if result.status == .failed {
      let text = details(of: result, Paint.none).dropFirst().joined(separator: "\n").plain
      inside.append("      <failure message=\"\(escaped(firstLine(text)))\">\(escaped(text))</failure>")
    }
    if !result.output.isEmpty {
      inside.append("      <system-out>\(escaped(result.output.joined(separator: "\n")))</system-out>")
    }
    return inside.isEmpty ? [head + "/>"] : [head + ">"] + inside + ["    </testcase>"]
  }

  private func seconds(_ time: Duration) -> String { String(format: "%.4f", time / .seconds(1)) }

  private func firstLine(_ text: String) -> String {
    String(text.split(separator: "\n").first ?? "").trimmingCharacters(in: .whitespaces)
  }

  /// Text inside of XML; control characters that it cannot hold become a mark.
  private func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\n", "\t": result.unicodeScalars.append(scalar)
      default:
        let isAllowed = scalar.value >= 0x20 && scalar.value != 0xFFFE && scalar.value != 0xFFFF
        result.unicodeScalars.append(isAllowed ? scalar : "\u{FFFD}")
      }
    }
    return result
  }
}
