import Foundation
import Synchronization
import Testing
import TriggerCore

@testable import TriggerFiles

/// The seed of a random test: new for each run, or what the environment variable SEED says.
func testSeed() -> UInt64 {
  ProcessInfo.processInfo.environment["SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: .min ... .max)
}

/// What the system would not do.
struct SystemError: Error, CustomStringConvertible {
  let description: String
  init(_ name: String) { description = "\(name): \(errorText(errno))" }
}

/// A directory that is removed when the value goes away.
final class TemporaryDirectory: Sendable {
  let path: String

  init(_ files: KeyValuePairs<String, String> = [:]) throws {
    path = NSTemporaryDirectory() + "trigger-files-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    for (name, text) in files { try write(name, text) }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  /// Truncates and writes, as `>` of a shell does; makes directories on the way.
  func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }

  func write(_ name: String, _ bytes: [UInt8]) throws {
    if let slash = name.lastIndex(of: "/") { try make(String(name[..<slash])) }
    let file = open(self(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    if file < 0 { throw SystemError(name) }
    _ = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
    close(file)
  }

  func make(_ directory: String) throws {
    try FileManager.default.createDirectory(atPath: self(directory), withIntermediateDirectories: true)
  }

  func rename(_ old: String, to new: String) throws {
    if Glibc.rename(self(old), self(new)) != 0 { throw SystemError(old) }
  }

  func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: self(name)) }

  /// - Parameter target: as it is to stand in the link.
  func link(_ name: String, to target: String) throws {
    if symlink(target, self(name)) != 0 { throw SystemError(name) }
  }

  /// Runs a program in here.
  func run(_ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: path)
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "\(arguments)")
  }
}

/// A watcher with its reports, each waited for.
final class Followed: Sendable {
  let watcher: DirectoryWatcher
  let first: DirectoryWatcher.Report
  private let reports: Reports

  private final class Reports: @unchecked Sendable {
    // Guarded by the condition.
    let condition = NSCondition()
    var waiting: [DirectoryWatcher.Report] = []
    /// What the changes of all reports so far have made.
    var tree = FileTree()
  }

  init(_ path: String, _ options: DirectoryWatcher.Options = .init()) {
    let reports = Reports()
    self.reports = reports
    watcher = DirectoryWatcher(path, options: options)
    reports.condition.lock()
    first = watcher.start { report in
      // Waits until the first report is in.
      reports.condition.lock()
      let difference = reports.tree.apply(report.changes)
      #expect(reports.tree == report.tree && difference == report.difference)
      reports.waiting.append(report)
      reports.condition.signal()
      reports.condition.unlock()
    }
    reports.tree.apply(first.changes)
    reports.condition.unlock()
  }

  deinit { watcher.stop() }

  /// The next report; nil when none comes in a long time.
  func next() -> DirectoryWatcher.Report? {
    reports.condition.lock()
    defer { reports.condition.unlock() }
    let late = Date(timeIntervalSinceNow: 30)
    while reports.waiting.isEmpty { if !reports.condition.wait(until: late) { return nil } }
    return reports.waiting.removeFirst()
  }

  /// The first report that holds; nil when none comes in a long time.
  func next(where holds: (DirectoryWatcher.Report) -> Bool) -> DirectoryWatcher.Report? {
    while let report = next() { if holds(report) { return report } }
    return nil
  }

  /// Reports up to the one that brings a change of this path, together. With it an own last change ends a
  /// test's burst, on however slow a machine.
  func changes(through path: String) -> DirectoryWatcher.Report? {
    var difference: [String: String] = [:]
    while var report = next() {
      for path in report.difference.added { difference[path] = "added" }
      for path in report.difference.modified { difference[path, default: "modified"] += "" }
      for path in report.difference.removed {
        difference[path] = difference[path] == "added" ? nil : "removed"
      }
      guard report.changes[path] != nil else { continue }
      func paths(_ kind: String) -> [String] { difference.filter { $0.value == kind }.keys.sorted() }
      report.difference = FileDifference()
      report.difference.added = paths("added")
      report.difference.modified = paths("modified")
      report.difference.removed = paths("removed")
      return report
    }
    return nil
  }
}

extension DirectoryWatcher.Report {
  /// `+new ~changed -gone`, in this order.
  var summary: String {
    let parts =
      difference.added.map { "+" + $0 } + difference.modified.map { "~" + $0 }
      + difference.removed.map { "-" + $0 }
    return parts.joined(separator: " ")
  }

  /// `path=text`, in the order of the paths.
  var texts: String {
    tree.paths.map { "\($0)=\(tree[$0]?.text ?? "?")" }.joined(separator: " ")
  }
}
