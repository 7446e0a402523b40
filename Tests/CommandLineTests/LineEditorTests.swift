import Testing

@testable import trigger_host

/// Keys in, lines out: the editor of the REPL without a terminal.
@Suite struct LineEditorTests {
  /// Feeds bytes as a terminal sends them; the editor afterwards, and the last action.
  private func type(_ text: String, history: [String] = []) -> (editor: LineEditor, action: LineEditor.Action)
  {
    var editor = LineEditor(history: history)
    var keys = KeyReader()
    var action = LineEditor.Action.none
    for byte in text.utf8 {
      if let key = keys.read(byte) { action = editor.handle(key) }
    }
    return (editor, action)
  }

  private static let (up, down, right, left) = ("\u{1b}[A", "\u{1b}[B", "\u{1b}[C", "\u{1b}[D")

  @Test func textIsInsertedWhereTheCursorIs() {
    #expect(type("abc").editor.text == "abc")
    #expect(type("ac\(Self.left)b").editor.text == "abc")
    #expect(type("äö\u{7f}ü").editor.text == "äü")
    #expect(type("🙂x\(Self.left)\(Self.left)y").editor.text == "y🙂x")
    #expect(type("abc\u{01}\u{1b}[3~").editor.text == "bc", "delete at the start")
    #expect(type("abc\u{1b}[H1\u{1b}[F2").editor.text == "1abc2")
    #expect(
      type("ab\(Self.left)\(Self.left)\(Self.left)c\(Self.right)\(Self.right)\(Self.right)d").editor.text
        == "cabd")
  }

  @Test func wordsAndRestsAreCut() {
    #expect(type("local x = foo.bar\u{17}").editor.text == "local x = foo.")
    #expect(type("local x  \u{17}").editor.text == "local ")
    #expect(type("abc def\u{1b}b\u{0b}").editor.text == "abc ")
    #expect(type("abc def\u{1b}[1;5D\u{15}").editor.text == "def")
    #expect(type("abc def\u{01}\u{1b}f!").editor.text == "abc! def")
  }

  @Test func linesOfBeforeComeBack() {
    let history = ["one", "two"]
    #expect(type(Self.up, history: history).editor.text == "two")
    #expect(type(Self.up + Self.up + Self.up, history: history).editor.text == "one")
    #expect(type("dra" + Self.up + Self.down + "ft", history: history).editor.text == "draft")
    #expect(type(Self.up + "!" + Self.down + Self.up, history: history).editor.text == "two")
    #expect(type(Self.down, history: history).editor.text == "")
  }

  @Test func keysThatEndALine() {
    #expect(type("1 + 1\r").action == .submit("1 + 1"))
    #expect(type("x\u{03}").action == .abandon)
    #expect(type("\u{04}").action == .endOfInput)
    #expect(type("ab\u{01}\u{04}").editor.text == "b", "with text before it, it deletes")
    #expect(type("ct\t").action == .complete)
    #expect(type("\u{0c}").action == .clearScreen)
  }

  @Test func whatIsNoKeyIsLeftOut() {
    #expect(type("a\u{1b}[99;99~\u{1b}Zb\u{00}").editor.text == "ab")
    var keys = KeyReader()
    var found: [LineEditor.Key] = []
    for byte in [0xff, 0xc3, 0x28, 0x41] as [UInt8] { if let key = keys.read(byte) { found.append(key) } }
    #expect(found == [.unknown, .unknown, .text("A")], "bytes that are no UTF-8")
  }

  @Test func longLinesMoveUnderAWindow() {
    let editor = type(String(repeating: "x", count: 30) + "yz").editor
    #expect(editor.window(80).text == String(repeating: "x", count: 30) + "yz")
    #expect(editor.window(10).text == "xxxxxxxyz" && editor.window(10).cursor == 9)
    #expect(type("abcdef\u{01}").editor.window(3).text == "abc")
  }
}
