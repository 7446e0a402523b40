import Foundation
import Synchronization
import Testing
import TriggerCore

@Suite struct ListenerTests {
  /// However often it was called before, a call takes the same few frames.
  @Test func callsDoNotPileUp() async {
    let listener = Listener<Int>()
    let count = Atomic<Int>(0)
    await withCheckedContinuation { continuation in
      listener.set { if $0 == 200_000 { continuation.resume() } }
      let thread = Thread { for number in 1...200_000 { listener(number) } }
      thread.stackSize = 64 << 10
      thread.start()
    }
    listener.set { count.wrappingAdd($0, ordering: .relaxed) }
    listener(2)
    listener.set(nil)
    listener(3)
    #expect(count.load(ordering: .relaxed) == 2)
  }

  /// A function right inside a `Mutex` is wrapped once more by every access: `Listener` says why.
  @Test func noMutexHoldsAFunction() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Sources")
    let files = try #require(FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil))
    var found: [String] = []
    for case let file as URL in files where file.pathExtension == "swift" {
      let text = try String(contentsOf: file, encoding: .utf8)
      if text.contains("Mutex<(@") || text.contains("Mutex<((@") { found.append(file.lastPathComponent) }
    }
    #expect(found.isEmpty)
  }
}
