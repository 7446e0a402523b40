import Foundation

/// What large directories cost a real host: `trigger-host run` as a process, from the outside.
enum HostMeasurements {
  static func run() throws {
    let directory = NSTemporaryDirectory() + "file-probe-host-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: directory) }
    for (count, size) in [(1000, 500), (10_000, 10_000)] { try scripts(directory, count, size) }
    try store(directory, files: 10_000, bytes: 10_000)
  }

  // MARK: Scripts

  private static func scripts(_ directory: String, _ count: Int, _ size: Int) throws {
    print("\(count) triggers of \(size) bytes")
    let root = "\(directory)/scripts-\(count)"
    for index in 0..<count { try write("\(root)/d\(index % 100)/t\(index).lua", script(index, size, "e")) }
    let event = #"{"event": "e", "id": 1, "payload": {"value": 1}}"# + "\n"
    let arguments = ["run", "--scripts", root, "--workers", "1", "--stdin", "--serve"]
    for data in [[], ["--data", directory + "/data-\(count)"], ["--data", directory + "/data-\(count)"]] {
      let host = try Host(arguments + data)
      let isAgain = FileManager.default.fileExists(atPath: directory + "/data-\(count)/log.sqlite")
      host.wait(for: "\(count) triggers")
      say("  start-up, \(data.isEmpty ? "in memory" : isAgain ? "with data" : "with new data")", host.elapsed)
      if data.isEmpty {
        let before = host.memory
        print("  memory: \(before >> 20) MiB")
        host.send(event)
        host.wait(for: "\"id\":1")
        print(
          "  memory of one worker that has run each trigger: \((host.memory - before) / count) bytes a trigger"
        )
      }
      for time in 0..<(data.isEmpty ? 6 : 1) {
        host.restart()
        try write("\(root)/d5/t5.lua", script(5, size, "f\(time)-\(data.count)-\(isAgain)"))
        host.wait(for: "in force from seq")
        say("  \(time == 0 ? "first" : "later") save to running (30 ms of quiet among it)", host.elapsed)
      }
      host.end()
      try write("\(root)/d5/t5.lua", script(5, size, "e"))
    }
  }

  private static func script(_ index: Int, _ bytes: Int, _ event: String) -> String {
    let head = "return {\n  on = { event = \"\(event)\" },\n  execute = function(event, ctx)\n"
    let block = "    do\n    local value_\(index) = (event.value or 0) + \(index)\n    end\n"
    return head + String(repeating: block, count: max(1, (bytes - head.utf8.count) / block.utf8.count))
      + "    return {}\n  end,\n}\n"
  }

  // MARK: A file store

  private static func store(_ directory: String, files: Int, bytes: Int) throws {
    print("a file store of \(files) files of \(bytes) bytes")
    let root = directory + "/store"
    let text = String(repeating: "0123456789", count: bytes / 10)
    for index in 0..<files { try write("\(root)/conf/d\(index % 100)/f\(index)", "\(index) \(text)") }
    try write(
      root + "/host.yaml", "scripts: triggers\nstores: { conf: { backend: files, directory: conf } }\n")
    try write(
      root + "/triggers/set.lua",
      """
      return { on = { event = "set" }, execute = function(event, ctx)
        local conf = ctx:store("conf")
        return { conf:put("d5/f5", event.text .. (conf:get("d5/f5") or ""):sub(1, 9000)) }
      end }
      """)
    for (name, data) in [
      ("in memory", []), ("first start with data", ["--data", root + "/data"]),
      ("second start", ["--data", root + "/data"]), ("third start", ["--data", root + "/data"]),
    ] {
      let host = try Host(["run", "--config", root + "/host.yaml", "--stdin", "--serve"] + data)
      host.send(#"{"event": "set", "id": 0, "payload": {"text": "a"}}"# + "\n")
      host.wait(for: "\"id\":0")
      say("  \(name), until the first event is decided", host.elapsed)
      print("    memory: \(host.memory >> 20) MiB")
      for time in 1...3 {
        host.restart()
        try write(root + "/conf/d7/f7", "\(name) \(time)")
        host.wait(for: "1 file changed outside")
        say("    a file saved, until its commit (30 ms of quiet among it)", host.elapsed)
      }
      for time in 1...3 {
        host.restart()
        host.send(#"{"event": "set", "id": \#(time), "payload": {"text": "\#(time) \#(name)"}}"# + "\n")
        while !start(of: root + "/conf/d5/f5").hasPrefix("\(time) \(name)") { usleep(200) }
        say("    an event, until the file it writes shows", host.elapsed)
      }
      host.end()
    }
    print("    disk: \(size(root + "/data") >> 20) MiB")
  }

  private static func start(of path: String) -> String {
    guard let file = FileHandle(forReadingAtPath: path), let bytes = try? file.read(upToCount: 100) else {
      return ""
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func size(_ path: String) -> Int {
    let names = (try? FileManager.default.subpathsOfDirectory(atPath: path)) ?? []
    return names.reduce(0) { sum, name in
      let attributes = try? FileManager.default.attributesOfItem(atPath: "\(path)/\(name)")
      return sum + (attributes?[.size] as? Int ?? 0)
    }
  }

  // MARK: Support

  private static func write(_ path: String, _ text: String) throws {
    let url = URL(fileURLWithPath: path)
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: url)
  }

  private static func say(_ what: String, _ time: Duration) {
    print("\(what): \(String(format: "%.1f ms", time / .milliseconds(1)))")
  }

  /// `trigger-host` from beside this program. One thread.
  private final class Host {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var text = Data()
    private var started = ContinuousClock.now

    init(_ arguments: [String]) throws {
      let own = URL(fileURLWithPath: CommandLine.arguments[0])
      process.executableURL = own.deletingLastPathComponent().appendingPathComponent("trigger-host")
      process.arguments = arguments
      process.standardInput = input
      process.standardOutput = output
      process.standardError = output
      restart()
      try process.run()
    }

    var elapsed: Duration { ContinuousClock.now - started }

    /// Bytes of it in memory.
    var memory: Int {
      let path = "/proc/\(process.processIdentifier)/statm"
      let pages = (try? String(contentsOfFile: path, encoding: .utf8))?.split(separator: " ")
      return (pages.flatMap { Int($0[1]) } ?? 0) * 4096
    }

    func restart() { started = ContinuousClock.now }

    func send(_ line: String) { try? input.fileHandleForWriting.write(contentsOf: Data(line.utf8)) }

    /// Reads until a line has the text; traps at the end of the output.
    func wait(for wanted: String) {
      while true {
        while let end = text.firstIndex(of: UInt8(ascii: "\n")) {
          let line = String(decoding: text[..<end], as: UTF8.self)
          text.removeSubrange(...end)
          if line.contains(wanted) { return }
        }
        let more = output.fileHandleForReading.availableData
        precondition(!more.isEmpty, "the host ended without '\(wanted)'")
        text.append(more)
      }
    }

    func end() {
      try? input.fileHandleForWriting.close()
      process.terminate()
      while !output.fileHandleForReading.availableData.isEmpty {}
      process.waitUntilExit()
    }
  }
}
