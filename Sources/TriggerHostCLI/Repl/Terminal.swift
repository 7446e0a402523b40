import Foundation
import HostConfig
import TriggerCore
import TriggerRuntime

/// Lines from a person at a terminal, with editing, history and completion; or plain lines, when there is none.
final class LineInput {
  /// Words that may follow at the end of a text, and where the last one begins, in characters.
  typealias Completer = (String) -> (start: Int, words: [String])

  let isTerminal: Bool
  /// The terminal's settings as they were.
  private let settings: termios?
  private var history: LineHistory
  private let completer: Completer
  private let paint = Paint()
  private let plain = LineReader(descriptor: STDIN_FILENO, cap: LineInput.lineLimit)

  private static let lineLimit = 1 << 20

  init(history: LineHistory, completer: @escaping Completer) {
    isTerminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1
    var settings = termios()
    self.settings = isTerminal && tcgetattr(STDIN_FILENO, &settings) == 0 ? settings : nil
    self.history = history
    self.completer = completer
  }

  enum Line: Equatable {
    case text(String)
    /// Given up with Ctrl-C.
    case abandoned
    /// Cannot be taken, and why.
    case unreadable(String)
    case endOfInput
  }

  /// The next line. A terminal shows the prompt.
  func next(_ prompt: String) -> Line {
    guard isTerminal else { return plainLine() }
    set { settings in
      let output = settings.c_oflag
      cfmakeraw(&settings)
      // Output goes on as usual: \n is a new line.
      settings.c_oflag = output
    }
    // While a line runs, keys are kept as they were typed, Ctrl-D too, for the next line; but Ctrl-C is a signal.
    defer { set { $0.c_lflag &= ~tcflag_t(ICANON | ECHO) } }
    return edit(prompt)
  }

  private func plainLine() -> Line {
    guard let line = plain.next() else { return .endOfInput }
    if line.isCut { return .unreadable("line \(line.number) is longer than \(Self.lineLimit >> 20) MiB") }
    do throws(InvalidUTF8) {
      return .text(
        try String(text: line.bytes.last == UInt8(ascii: "\r") ? line.bytes.dropLast() : line.bytes[...]))
    } catch { return .unreadable("line \(line.number): \(error)") }
  }

  /// Gives the terminal back as it was. Any thread.
  var restore: @Sendable () -> Void {
    { [settings] in
      guard var settings else { return }
      // Not once all output is shown: a paused terminal shows none.
      tcsetattr(STDIN_FILENO, TCSANOW, &settings)
    }
  }

  /// Changes the settings that the terminal had.
  private func set(_ change: (inout termios) -> Void) {
    guard var settings else { return }
    change(&settings)
    tcsetattr(STDIN_FILENO, TCSADRAIN, &settings)
  }

  private func edit(_ prompt: String) -> Line {
    var editor = LineEditor(history: history.lines)
    var keys = KeyReader()
    draw(prompt, editor)
    while let byte = Self.byte() {
      guard let key = keys.read(byte) else { continue }
      switch editor.handle(key) {
      case .redraw: draw(prompt, editor)
      case .complete:
        complete(&editor, prompt)
        draw(prompt, editor)
      case .submit(let text):
        write("\r\n")
        history.add(text)
        return .text(text)
      case .abandon:
        write("^C\r\n")
        return .abandoned
      case .endOfInput:
        write("\r\n")
        return .endOfInput
      case .clearScreen:
        write("\u{1b}[H\u{1b}[2J")
        draw(prompt, editor)
      case .none: break
      }
    }
    return .endOfInput
  }

  /// Inserts what all candidates share; shows them when that is nothing more.
  private func complete(_ editor: inout LineEditor, _ prompt: String) {
    let (start, words) = completer(editor.textBeforeCursor)
    guard let first = words.first else { return }
    let shared = words.dropFirst().reduce(first) { $0.commonPrefix(with: $1) }
    if shared.count > editor.cursor - start {
      editor.replace(from: start, with: shared)
    } else if words.count > 1 {
      write("\r\n" + TerminalText(words.prefix(200).joined(separator: "  ")).shown + "\r\n")
    }
  }

  private func draw(_ prompt: String, _ editor: LineEditor) {
    let (text, cursor) = editor.window(max(10, Self.columns - prompt.count - 1))
    write(
      "\r\u{1b}[K\(paint.strong("\(prompt)").shown)\(TerminalText(text).shown)\r\u{1b}[\(prompt.count + cursor)C"
    )
  }

  private func write(_ text: String) { try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8)) }

  private static var columns: Int {
    var size = winsize()
    return ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
  }

  /// Nil at the end.
  private static func byte() -> UInt8? {
    var byte: UInt8 = 0
    while true {
      let count = read(STDIN_FILENO, &byte, 1)
      if count == 1 { return byte }
      if count == 0 || errno != EINTR { return nil }
    }
  }
}

/// Lines of earlier sessions, in a file: `$XDG_STATE_HOME/trigger-host/history`, or `~/.trigger-host_history`.
struct LineHistory {
  private(set) var lines: [String] = []
  private let path: String?

  private static let most = 1000

  /// - Parameter path: nil keeps nothing.
  init(path: String?) {
    self.path = path
    guard let path, let text = try? String(contentsOfFile: path, encoding: .utf8) else { return }
    lines = Array(text.split(separator: "\n").map(String.init).suffix(Self.most))
  }

  static var usualPath: String? {
    // `ProcessInfo` repairs what is no text, and would name another directory.
    func variable(_ name: String) -> String? { getenv(name).flatMap { String(validatingCString: $0) } }
    if let state = variable("XDG_STATE_HOME"), state.hasPrefix("/") {
      return "\(state)/trigger-host/history"
    }
    return variable("HOME").map { "\($0)/.trigger-host_history" }
  }

  /// Keeps a line, unless it is empty or the same as the last one. A file that cannot be written is no reason to
  /// stop.
  mutating func add(_ line: String) {
    guard !line.allSatisfy(\.isWhitespace), line != lines.last else { return }
    lines.append(line)
    guard let path else { return }
    if lines.count > 2 * Self.most { lines.removeFirst(lines.count - Self.most) }
    let text = lines.suffix(Self.most).joined(separator: "\n") + "\n"
    try? FileManager.default.createDirectory(
      atPath: FilePath.parent(of: path), withIntermediateDirectories: true)
    // What was typed may be private.
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { return }
    try? FileHandle(fileDescriptor: file, closeOnDealloc: true).write(contentsOf: Data(text.utf8))
  }
}
