import Glibc

/// Bytes of a block that `malloc` gave, at least as many as were asked for.
package func size(ofBlock block: UnsafeMutableRawPointer) -> Int {
  // The module of the C library leaves it out.
  typealias Size = @convention(c) (UnsafeMutableRawPointer) -> Int
  return unsafeBitCast(dlsym(nil, "malloc_usable_size"), to: Size.self)(block)
}
