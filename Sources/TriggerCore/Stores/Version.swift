import Glibc
import Synchronization

/// One value a key had: the seq that wrote it, its canonical encoding, and the value before it.
///
/// A block of raw memory: this header, then `length` bytes. `length` -1 marks a deletion. `seq` and
/// `previous` are written before the block is linked and `previous` is cut only when no reader can step
/// past this version, so readers need no lock.
package struct Version {
  package var seq: Int64
  package var previous: UnsafeMutablePointer<Version>?
  package var length: Int32

  static let deletedLength: Int32 = -1

  /// Copies `count` bytes into a new, unlinked version.
  @inline(__always)
  package static func make(
    _ bytes: UnsafeRawPointer?, count: Int, capacity: Int = 0
  ) -> UnsafeMutablePointer<Version> {
    let block = malloc(MemoryLayout<Version>.size &+ Swift.max(count, capacity))!
    let version = block.bindMemory(to: Version.self, capacity: 1)
    version.initialize(to: Version(seq: 0, previous: nil, length: Int32(truncatingIfNeeded: count)))
    if count > 0 { memcpy(block + MemoryLayout<Version>.size, bytes!, count) }
    return version
  }

  /// A new, unlinked version of `count` bytes, which `body` writes, all of them.
  package static func make(
    count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void
  ) -> UnsafeMutablePointer<Version> {
    let version = make(nil, count: 0, capacity: count)
    version.pointee.length = Int32(count)
    body(
      UnsafeMutableRawBufferPointer(start: UnsafeMutableRawPointer(mutating: bytes(version)), count: count))
    return version
  }

  package static func makeDeleted() -> UnsafeMutablePointer<Version> {
    let version = make(nil, count: 0)
    version.pointee.length = deletedLength
    return version
  }

  @inline(__always)
  package static func bytes(_ version: UnsafeMutablePointer<Version>) -> UnsafePointer<UInt8> {
    UnsafePointer(
      (UnsafeMutableRawPointer(version) + MemoryLayout<Version>.size).assumingMemoryBound(to: UInt8.self))
  }

  /// `StoreDigest.content` of a key with this value; anything for a deletion.
  package static func content(
    _ version: UnsafeMutablePointer<Version>, of key: UnsafeBufferPointer<UInt8>
  ) -> UInt64 {
    if version.isDeleted { return 0 }
    let value = UnsafeRawBufferPointer(start: bytes(version), count: Int(version.pointee.length))
    return StoreDigest.content(UnsafeRawBufferPointer(key), value)
  }

  /// The seq that wrote it.
  @inline(__always)
  package static func seq(_ version: UnsafeMutablePointer<Version>) -> Int64 {
    Seam.willRead(version)
    return version.pointee.seq
  }

  /// The value before, for a reader whose snapshot is older than this one: then it is not cut.
  @inline(__always)
  static func previous(_ version: UnsafeMutablePointer<Version>) -> UnsafeMutablePointer<Version>? {
    Seam.willRead(link(version))
    return version.pointee.previous
  }

  /// Before it is linked, or to cut off what no reader can step to any more. Writer only.
  @inline(__always)
  static func set(
    previous: UnsafeMutablePointer<Version>?, of version: UnsafeMutablePointer<Version>
  ) {
    Seam.willWrite(UInt(bitPattern: previous), to: link(version))
    version.pointee.previous = previous
  }

  /// Where `previous` lies.
  @inline(__always)
  private static func link(_ version: UnsafeMutablePointer<Version>) -> UnsafeRawPointer {
    assert(MemoryLayout<Version>.offset(of: \.previous) == MemoryLayout<Int64>.size)
    return UnsafeRawPointer(version) + MemoryLayout<Int64>.size
  }

  @inline(__always)
  package static func free(_ version: UnsafeMutablePointer<Version>) {
    Glibc.free(version)
  }
}

extension UnsafeMutablePointer<Version> {
  /// Looks at `length` alone. As a property of `Version` it would load the whole header, `previous` too,
  /// which the writer may cut meanwhile.
  @inline(__always) package var isDeleted: Bool { pointee.length < 0 }
}
