import Foundation
import Synchronization
import Testing
import TriggerCore

import TriggerFiles

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
  private let quiet: Duration

  private final class Reports: @unchecked Sendable {
    // Guarded by the condition.
    let condition = NSCondition()
    var waiting: [DirectoryWatcher.Report] = []
    /// What the changes of all reports so far have made.
    var tree = FileTree()
    /// The tree of the last report that was waited for.
    var taken = FileTree()
  }

  init(_ path: String, _ options: DirectoryWatcher.Options = .init()) {
    let reports = Reports()
    self.reports = reports
    quiet = options.quiet
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
    reports.taken = first.tree
    reports.condition.unlock()
  }

  deinit { watcher.stop() }

  /// The next report; nil when none comes in a long time.
  func next() -> DirectoryWatcher.Report? {
    reports.condition.lock()
    defer { reports.condition.unlock() }
    let late = Date(timeIntervalSinceNow: 300)
    while reports.waiting.isEmpty { if !reports.condition.wait(until: late) { return nil } }
    let report = reports.waiting.removeFirst()
    reports.taken = report.tree
    return report
  }

  /// The first report that holds; nil when none comes in a long time.
  func next(where holds: (DirectoryWatcher.Report) -> Bool) -> DirectoryWatcher.Report? {
    while let report = next() { if holds(report) { return report } }
    return nil
  }

  /// Does what is to be told of as one burst, and waits until all of it is told.
  ///
  /// One report, unless the machine held up who did it for longer than the quiet time: then it is right to tell of
  /// it in parts.
  ///
  /// - Parameter holds: whether the tree has all of it.
  /// - Returns: the last report, with the difference that all of it makes; nil when none comes in a long time.
  func burst(
    until holds: (FileTree) -> Bool, _ body: () throws -> Void
  ) rethrows -> DirectoryWatcher.Report? {
    var before = reports.condition.withLock { reports.taken }
    let start = ContinuousClock.now
    try body()
    let isQuick = ContinuousClock.now - start < quiet
    var parts = 1
    guard var report = next() else { return nil }
    while !holds(report.tree) {
      guard let later = next() else { return nil }
      report = later
      parts += 1
    }
    #expect(parts == 1 || !isQuick, "\(parts) reports")
    report.difference = before.apply(report.tree.changes(since: before))
    return report
  }

  /// Writes a file of the tree, and waits until it is told of. Who looks while it is truncated and not written yet
  /// finds it empty: it may be told of so first, on a machine that holds up the writer there.
  func writing(
    _ path: String, _ text: String, _ write: (_ text: String) throws -> Void
  ) rethrows -> DirectoryWatcher.Report? {
    try burst(until: { $0[path]?.text == text }) { try write(text) }
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
