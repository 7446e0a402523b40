/// Bytes that stay where they are for as long as their holder lives. An array would count a reference with every
/// look, and many threads that look at one count get in each other's way.
package struct FixedBytes: @unchecked Sendable {  // never written after init
  package let buffer: UnsafeRawBufferPointer

  package init(_ text: String) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
    copy.copyBytes(from: text.utf8)
    buffer = UnsafeRawBufferPointer(copy)
  }

  /// The holder goes.
  package func free() { buffer.deallocate() }
}
