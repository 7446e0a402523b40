import Glibc

/// Text that equals its own bytes only. `String` takes two spellings of one character for the same text
/// (Unicode canonical equivalence), but names and keys are what scripts, logs and disks see: bytes.
package struct ExactText: Hashable, Sendable {
  package let text: String

  package init(_ text: String) { self.text = text }

  package static func == (left: ExactText, right: ExactText) -> Bool {
    var (left, right) = (left.text, right.text)
    return left.withUTF8 { left in
      right.withUTF8 { right in
        left.count == right.count
          && (left.isEmpty || memcmp(left.baseAddress!, right.baseAddress!, left.count) == 0)
      }
    }
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(KeyHash.of(text))
  }
}
