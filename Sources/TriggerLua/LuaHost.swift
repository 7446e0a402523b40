/// What the engine answers while a script runs: C functions over raw pointers, so that a read costs a call
/// and no allocation, closure or existential.
///
/// Every function runs on the worker's thread inside `LuaWorker.run` or `load`, with frames of Lua below it.
/// None may throw, and none may leave by anything but `return`. `attempt` is the pointer given to
/// `LuaWorker.run`, nil while a chunk loads.
package struct LuaHostFunctions: Sendable {
  /// (attempt, name, length, permanent, refused) to a store handle.
  ///
  /// Nil refuses; `refused` then points to a NUL-terminated text that stays valid until the attempt ends.
  /// Setting `permanent` to 1 promises that the handle holds for every later attempt of this worker.
  package typealias Store =
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafePointer<CChar>?, Int, UnsafeMutablePointer<Int32>?,
      UnsafeMutablePointer<UnsafePointer<CChar>?>?
    ) -> UnsafeMutableRawPointer?
  /// (attempt, store, key, key length, value length) to the encoded value, nil when absent. The bytes stay
  /// valid until the attempt ends.
  package typealias Get =
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafePointer<CChar>?, Int,
      UnsafeMutablePointer<Int>?
    ) -> UnsafePointer<UInt8>?
  /// (attempt, store, prefix, length) to a cursor that lives until the attempt ends.
  package typealias ScanBegin =
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafePointer<CChar>?, Int
    ) -> UnsafeMutableRawPointer?
  /// (cursor, key, key length, value, value length) to 1, or 0 at the end. In byte order of the keys.
  package typealias ScanNext =
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafeMutablePointer<UnsafePointer<CChar>?>?, UnsafeMutablePointer<Int>?,
      UnsafeMutablePointer<UnsafePointer<UInt8>?>?, UnsafeMutablePointer<Int>?
    ) -> Int32
  /// (attempt, store, prefix, length) to the number of keys.
  package typealias Count =
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafePointer<CChar>?, Int
    ) -> Int64
  /// (attempt, store) to the seq of the last commit that changed the store.
  package typealias Version = @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Int64
  /// (attempt, level, message, length, fields, fields length, place). `fields` is an encoded map or nil,
  /// `place` reads `file:line`.
  package typealias Log =
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafePointer<CChar>?, UnsafePointer<CChar>?, Int, UnsafePointer<UInt8>?,
      Int, UnsafePointer<CChar>?
    ) -> Void
  /// (tree context, path, length) to the text of a file, nil when the tree has none. The bytes stay valid
  /// until the call that asked returns to the engine.
  package typealias Source =
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafePointer<CChar>?, UnsafeMutablePointer<Int>?
    ) -> UnsafePointer<CChar>?

  /// (tree context, requiring path, path) whenever the chunk of a file, while it loads, looks for a module at
  /// a path, whether there is one or not.
  package typealias Required =
    @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<CChar>?, UnsafePointer<CChar>?) -> Void

  /// (attempt, name, length, argument, length, result, length) to 0 and the encoded result (nil: none), or 1 and
  /// the text of an error. For sessions; may take long. The bytes stay valid until the next call.
  package typealias Call =
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafePointer<CChar>?, Int, UnsafePointer<UInt8>?, Int,
      UnsafeMutablePointer<UnsafePointer<UInt8>?>?, UnsafeMutablePointer<Int>?
    ) -> Int32

  package var store: Store
  package var get: Get
  package var scanBegin: ScanBegin
  package var scanNext: ScanNext
  package var count: Count
  package var version: Version
  package var log: Log
  package var source: Source
  /// Nil when nobody wants to know.
  package var required: Required?
  /// Nil where there are no sessions.
  package var call: Call?

  package init(
    store: @escaping Store, get: @escaping Get, scanBegin: @escaping ScanBegin,
    scanNext: @escaping ScanNext, count: @escaping Count, version: @escaping Version,
    log: @escaping Log, source: @escaping Source, required: Required? = nil, call: Call? = nil
  ) {
    self.store = store
    self.get = get
    self.scanBegin = scanBegin
    self.scanNext = scanNext
    self.count = count
    self.version = version
    self.log = log
    self.source = source
    self.required = required
    self.call = call
  }
}

/// Bounds of one attempt or load.
package struct LuaLimits: Sendable, Equatable {
  /// Live bytes above the worker's idle state.
  package var memoryBytes: Int
  /// Largest encoded value.
  package var valueBytes: Int
  /// Deepest nesting of a value; `{}` has depth 1.
  package var valueDepth: Int
  /// Most intents prepared.
  package var intents: Int
  /// Most bytes of all prepared intents, keys and values.
  package var outputBytes: Int

  package init(
    memoryBytes: Int = 64 << 20, valueBytes: Int = 1 << 20, valueDepth: Int = 64, intents: Int = 10_000,
    outputBytes: Int = 16 << 20
  ) {
    self.memoryBytes = memoryBytes
    self.valueBytes = valueBytes
    self.valueDepth = valueDepth
    self.intents = intents
    self.outputBytes = outputBytes
  }
}

/// What `ctx` shows of an attempt. The buffers must stay valid during the run.
package struct LuaAttemptInfo {
  /// The operation's first seq.
  package var seq: Int64
  /// Nanoseconds since 1970-01-01T00:00:00Z.
  package var admissionNanoseconds: Int64
  package var randomSeed: UInt64
  /// UTF-8, not terminated.
  package var trigger: UnsafeRawBufferPointer
  /// UTF-8, not terminated.
  package var eventName: UnsafeRawBufferPointer
  /// Bytes that the host holds for the attempt, kept up to date by it: they count as the attempt's memory.
  package var heldBytes: UnsafePointer<Int>?

  package init(
    seq: Int64, admissionNanoseconds: Int64, randomSeed: UInt64, trigger: UnsafeRawBufferPointer,
    eventName: UnsafeRawBufferPointer, heldBytes: UnsafePointer<Int>? = nil
  ) {
    self.heldBytes = heldBytes
    self.seq = seq
    self.admissionNanoseconds = admissionNanoseconds
    self.randomSeed = randomSeed
    self.trigger = trigger
    self.eventName = eventName
  }
}
