import TriggerCore

/// What happened, step by step: the newest lines, and a digest of all.
struct Trace {
  private let kept: Int
  private var newest: [String] = []
  private var first = 0
  private(set) var digest: UInt64 = 0

  init(kept: Int) { self.kept = max(kept, 1) }

  mutating func note(_ line: String) {
    var line = line
    digest = line.withUTF8 { (digest ^ XXH64.of(UnsafeRawBufferPointer($0))) &* 0x9e37_79b9_7f4a_7c15 }
    if newest.count < kept { return newest.append(line) }
    newest[first] = line
    first = (first + 1) % kept
  }

  var lines: [String] { Array(newest[first...] + newest[..<first]) }
}
