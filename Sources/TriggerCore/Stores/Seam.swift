import Synchronization

// Where threads share memory without a lock, its order is the whole correctness, and a test that only runs threads
// beside one another meets a wrong order once in a million times. So every load and store here that another thread
// may be about to touch goes through this file, where a test can stop: it steps through all interleavings of one
// operation of the writer with one of a reader (`InterleavingTests`). Loom and Shuttle do that in Rust with atomics
// of their own, chosen at compile time; relacy does it in C++ with a template parameter. Here it is the compile-time
// switch: a policy as a generic parameter would be in the type of every store and of all who use one. A release
// build has plain atomics and nothing else. What a test steps through is sequentially consistent: whether an
// ordering is too weak is what ThreadSanitizer looks at (`scripts/test-threads`).

extension Atomic where Value: FixedWidthInteger, Value.AtomicRepresentation == UInt64.AtomicRepresentation {
  @inline(__always) package borrowing func loadRelaxed() -> Value {
    willLoad()
    return load(ordering: .relaxed)
  }
  @inline(__always) package borrowing func loadAcquiring() -> Value {
    willLoad()
    return load(ordering: .acquiring)
  }
  /// Sequentially consistent.
  @inline(__always) package borrowing func loadInOrder() -> Value {
    willLoad()
    return load(ordering: .sequentiallyConsistent)
  }
  @inline(__always) package borrowing func storeRelaxed(_ value: Value) {
    willStore(value)
    store(value, ordering: .relaxed)
  }
  @inline(__always) package borrowing func storeReleasing(_ value: Value) {
    willStore(value)
    store(value, ordering: .releasing)
  }
  /// Sequentially consistent.
  @inline(__always) package borrowing func storeInOrder(_ value: Value) {
    willStore(value)
    store(value, ordering: .sequentiallyConsistent)
  }

  @inline(__always) private borrowing func willLoad() {
    #if DEBUG
      withUnsafePointer(to: self) { Seam.willRead($0) }
    #endif
  }
  @inline(__always) private borrowing func willStore(_ value: Value) {
    #if DEBUG
      withUnsafePointer(to: self) { Seam.willWrite(UInt(truncatingIfNeeded: value), to: $0) }
    #endif
  }
}

/// The same for memory that is no atomic, and for what is freed.
package enum Seam {
  #if DEBUG
    /// Watches what one thread does with memory that threads share.
    package protocol Watcher: AnyObject, Sendable {
      func willRead(_ word: UnsafeRawPointer)
      func willWrite(_ value: UInt, to word: UnsafeRawPointer)
      /// True when the watcher sees to the block instead.
      func keeps(_ block: UnsafeRawPointer) -> Bool
    }

    @TaskLocal private static var watcher: (any Watcher)?
    /// Threads that are watched: the others look no further.
    private static let watched = Atomic<Int>(0)

    /// Runs `body` with this thread watched.
    package static func withWatcher<Result>(_ watcher: any Watcher, _ body: () throws -> Result) rethrows
      -> Result
    {
      watched.wrappingAdd(1, ordering: .relaxed)
      defer { watched.wrappingSubtract(1, ordering: .relaxed) }
      return try $watcher.withValue(watcher, operation: body)
    }

    private static var current: (any Watcher)? { watched.load(ordering: .relaxed) == 0 ? nil : watcher }
  #endif

  /// The thread is about to look at the word there, or at what was written with it.
  @inline(__always) package static func willRead(_ word: UnsafeRawPointer) {
    #if DEBUG
      current?.willRead(word)
    #endif
  }
  @inline(__always) package static func willWrite(_ value: UInt, to word: UnsafeRawPointer) {
    #if DEBUG
      current?.willWrite(value, to: word)
    #endif
  }
  /// Asked before a block is freed that readers may have seen.
  @inline(__always) package static func keeps(_ block: UnsafeRawPointer) -> Bool {
    #if DEBUG
      current?.keeps(block) ?? false
    #else
      false
    #endif
  }
}
