import Foundation
import Synchronization
import Testing

/// The real binary as a process. Both pipes are read while it runs, and it is killed at its time limit, so
/// no test waits for ever.
final class RunningCommand: Sendable {
  /// Debug builds are slow, all tests start at once, and the machine may have other work: a good command ends
  /// long before.
  static let timeLimit = 300

  private struct State: CustomStringConvertible {
    var output = Data()
    var errors = Data()
    /// The two pipes and the process, as far as they have not ended.
    var openParts = 3
    var status: Int32 = 0
    var isRunning = true
    var isTimedOut = false
    var waiting: [CheckedContinuation<Bool, Never>] = []

    var isOver: Bool { openParts == 0 }

    /// What has become of it until now, for a test that waits in vain.
    var description: String {
      let end = isTimedOut ? "killed after \(timeLimit) s" : isOver ? "ended with \(status)" : "running"
      return [("printed", output), ("as errors", errors)].reduce(end) { text, part in
        let printed = String(decoding: part.1.suffix(10_000), as: UTF8.self)
        return text + "\n\(part.0)\(part.1.count > 10_000 ? ", its last 10 kB" : ""):\n\(printed)"
      }
    }

    /// All whole lines so far, errors first.
    var lines: [String] {
      [errors, output].flatMap { data in
        data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast()
          .map { String(decoding: $0, as: UTF8.self) }
      }
    }
  }

  private let state = Mutex(State())
  private let process = Process()

  /// Where standard output goes.
  enum Output {
    case pipe
    /// A pipe that nobody reads, as after `| head -1`.
    case closedPipe
    /// A pipe that is read from the first `readOn`.
    case stalledPipe
    /// A terminal that shows both streams.
    case terminal
    /// A terminal that is standard input as well: `type` is its keyboard.
    case console
  }

  /// The near end of a console.
  private let keyboard: FileHandle?
  /// Ends of pipes that are not read yet.
  private let unread = Mutex<[@Sendable () -> Void]>([])

  /// A line of a shell, in which `"$host"` is the binary: for arguments that are no text, and descriptors.
  convenience init(shell line: String, in directory: String? = nil) throws {
    let binary = try #require(Self.binary, "trigger-host is not beside the test bundle")
    try self.init(
      ["-c", line], in: directory, environment: ["host": binary.path], executable: "/bin/bash")
  }

  /// - Parameter directory: the working directory; nil is the tests' own.
  /// - Parameter input: a file for standard input; nil is nothing.
  /// - Parameter environment: added to the tests' own.
  /// - Parameter executable: nil is the binary.
  /// - Parameter hasStalledErrors: whether standard error is read from the first `readOn` only.
  init(
    _ arguments: [String], in directory: String? = nil, output kind: Output = .pipe, input: String? = nil,
    environment: [String: String] = [:], executable: String? = nil, hasStalledErrors: Bool = false
  ) throws {
    let output = kind == .terminal || kind == .console ? try Self.terminal() : Self.pipe()
    keyboard = kind == .console ? output.read : nil
    let errors = Self.pipe()
    let binary = try #require(Self.binary, "trigger-host is not beside the test bundle")
    process.executableURL = executable.map { URL(fileURLWithPath: $0) } ?? binary
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
    if kind == .console {
      process.standardInput = output.write
    } else {
      process.standardInput =
        try input.map { try FileHandle(forReadingFrom: URL(fileURLWithPath: $0)) } ?? FileHandle.nullDevice
    }
    process.standardOutput = output.write
    process.standardError = kind == .terminal ? output.write : errors.write
    process.terminationHandler = { [self] process in
      let isExit = process.terminationReason == .exit
      change {
        $0.status = isExit ? process.terminationStatus : -process.terminationStatus
        $0.isRunning = false
        $0.openParts -= 1
      }
    }
    try process.run()
    try output.write.close()
    try errors.write.close()
    if kind == .closedPipe {
      try output.read.close()
      change { $0.openParts -= 1 }
    } else {
      read(output.read, later: kind == .stalledPipe) { $0.output.append($1) }
    }
    read(errors.read, later: hasStalledErrors) { $0.errors.append($1) }
    DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(Self.timeLimit)) { [weak self] in
      self?.endLate()
    }
  }

  /// Where the build puts it, debug or release: beside the test bundle.
  private static let binary: URL? = {
    let places = [CommandLine.arguments.first.map { URL(fileURLWithPath: $0) }, Bundle.main.executableURL]
    return places.compactMap { $0?.deletingLastPathComponent().appendingPathComponent("trigger-host") }
      .first { FileManager.default.isExecutableFile(atPath: $0.path) }
  }()

  private func endLate() {
    let isLate = state.withLock { state in
      state.isTimedOut = !state.isOver
      return state.isTimedOut
    }
    if isLate { signal(SIGKILL) }
  }

  private static func pipe() -> (read: FileHandle, write: FileHandle) {
    let pipe = Pipe()
    // Not for the processes that other tests start meanwhile: an end of theirs would keep it open.
    for end in [pipe.fileHandleForReading, pipe.fileHandleForWriting] {
      _ = fcntl(end.fileDescriptor, F_SETFD, FD_CLOEXEC)
    }
    return (pipe.fileHandleForReading, pipe.fileHandleForWriting)
  }

  /// Both ends of a new pseudoterminal.
  private static func terminal() throws -> (read: FileHandle, write: FileHandle) {
    let near = open("/dev/ptmx", O_RDWR | O_NOCTTY)
    // posix_openpt(3) and its like are not in Swift's Glibc: pty(7)'s TIOCSPTLCK and TIOCGPTN.
    var (lock, number) = (Int32(0), UInt32(0))
    let isOpen = ioctl(near, 0x4004_5431, &lock) == 0 && ioctl(near, 0x8004_5430, &number) == 0
    let name = "/dev/pts/\(number)"
    let far = open(name, O_RDWR | O_NOCTTY)
    try #require(isOpen && far >= 0)
    let ends = [near, far].map { FileHandle(fileDescriptor: $0, closeOnDealloc: true) }
    return (ends[0], ends[1])
  }

  private func read(
    _ file: FileHandle, later: Bool, _ add: @escaping @Sendable (inout State, Data) -> Void
  ) {
    if later { return unread.withLock { $0.append { self.read(file, later: false, add) } } }
    Thread.detachNewThread { [self] in
      var block = [UInt8](repeating: 0, count: 1 << 16)
      // A terminal whose other end is gone fails with EIO: the end as well.
      while case let count = Foundation.read(file.fileDescriptor, &block, block.count), count > 0 {
        change { add(&$0, Data(block[..<count])) }
      }
      change { $0.openParts -= 1 }
    }
  }

  private func change(_ body: (inout State) -> Void) {
    let waiting = state.withLock { state in
      body(&state)
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume(returning: false) }
  }

  private func wait(until condition: (State) -> Bool) async {
    while true {
      let isTrue = await withCheckedContinuation { continuation in
        let isTrue = state.withLock { state in
          if condition(state) { return true }
          state.waiting.append(continuation)
          return false
        }
        if isTrue { continuation.resume(returning: true) }
      }
      if isTrue { return }
    }
  }

  // MARK: From outside

  /// Reads what was not read until now.
  func readOn() {
    let reads = unread.withLock { unread in
      defer { unread = [] }
      return unread
    }
    for read in reads { read() }
  }

  /// Waits for the process to end, whether its pipes have been read or not.
  func exited() async {
    await wait { !$0.isRunning || $0.isTimedOut }
  }

  /// Keys of a console.
  func type(_ text: String) { try? keyboard?.write(contentsOf: Data(text.utf8)) }

  /// Does nothing when the process has ended: its number may be another's by now.
  func signal(_ number: Int32) {
    if process.isRunning { kill(process.processIdentifier, number) }
  }

  /// Whether it runs; false once it was killed at its time limit, too.
  var isRunning: Bool { state.withLock { !$0.isOver } }

  /// Waits for a line on either stream.
  ///
  /// - Throws: when the process ends without it.
  @discardableResult
  func line(containing text: String) async throws -> String {
    await wait { state in state.isOver || state.lines.contains { $0.contains(text) } }
    let state = state.withLock { $0 }
    return try #require(state.lines.first { $0.contains(text) }, "no line with '\(text)': \(state)")
  }

  /// Waits for so many lines on either stream, or the end.
  func lines(_ count: Int) async -> [String] {
    await wait { state in state.isOver || state.lines.count >= count }
    return state.withLock { $0.lines }
  }

  /// Waits for so many lines with the text on either stream.
  ///
  /// - Throws: when the process ends without them.
  @discardableResult
  func lines(_ count: Int, containing text: String) async throws -> [String] {
    await wait { state in state.isOver || state.lines.count { $0.contains(text) } >= count }
    let state = state.withLock { $0 }
    let lines = state.lines.filter { $0.contains(text) }
    try #require(lines.count >= count, "not \(count) lines with '\(text)': \(state)")
    return lines
  }

  /// Looks until it holds, or the process has ended: nobody is told of what it writes into a database.
  func look(until holds: () throws -> Bool) async rethrows {
    for await _ in Self.ticks { if try !isRunning || holds() { return } }
  }

  /// Sends the signal until the process has ended: what comes soon after a first one is the same request.
  func insist(_ number: Int32) async throws -> EndedCommand {
    for await _ in Self.ticks {
      if !isRunning { break }
      signal(number)
    }
    return try await end()
  }

  /// Fifty times a second.
  private static var ticks: AsyncStream<Void> {
    AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
      nonisolated(unsafe) let timer = DispatchSource.makeTimerSource()
      timer.schedule(deadline: .now(), repeating: .milliseconds(20))
      timer.setEventHandler { continuation.yield() }
      continuation.onTermination = { _ in timer.cancel() }
      timer.resume()
    }
  }

  /// Stops the process (SIGSTOP), and returns when it has stopped or ended.
  func pause() async {
    signal(SIGSTOP)
    let number = id_t(process.processIdentifier)
    await withCheckedContinuation { continuation in
      Thread.detachNewThread {
        var what = siginfo_t()
        // Whoever waits for its end still gets to know of it.
        while waitid(P_PID, number, &what, WSTOPPED | WEXITED | WNOWAIT) != 0, errno == EINTR {}
        continuation.resume()
      }
    }
  }

  /// Waits for the process to end.
  ///
  /// - Throws: when it had to be killed at its time limit.
  func end() async throws -> EndedCommand {
    await wait { $0.isOver }
    let state = state.withLock { $0 }
    try #require(!state.isTimedOut, "it does not end: \(state)")
    return EndedCommand(
      status: state.status, output: String(decoding: state.output, as: UTF8.self),
      errors: String(decoding: state.errors, as: UTF8.self))
  }
}

/// What a command came to.
struct EndedCommand: Sendable {
  /// The exit code; minus the signal's number when one ended the process.
  var status: Int32
  var output: String
  var errors: String

  var lines: [String] { output.split(separator: "\n").map(String.init) }
  /// Without the times of a host's log.
  var errorLines: [String] {
    errors.split(separator: "\n").map { line in
      String(line.prefixMatch(of: Self.time).map { line[$0.range.upperBound...] } ?? line)
    }
  }

  /// `2026-11-24T10:30:00.250Z `
  static var time: Regex<Substring> {
    #/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z /#
  }

  /// Standard output as one JSON value.
  func json() throws -> Any {
    try JSONSerialization.jsonObject(with: Data(output.utf8), options: .fragmentsAllowed)
  }

  /// Standard output as one JSON object.
  func jsonObject() throws -> [String: Any] { try #require(json() as? [String: Any], "\(self)") }
}

/// Runs `trigger-host` with the arguments until it ends.
func triggerHost(_ arguments: String..., in directory: String? = nil) async throws -> EndedCommand {
  try await RunningCommand(arguments, in: directory).end()
}
