import Glibc
import TriggerHost

/// How far a log went, as a file beside it says (`newest`). The log itself cannot tell that its end is gone: without
/// its write-ahead log, or with a cut one, it is a good log of an earlier time.
struct NewestMark: Equatable {
  /// Which log.
  var log: Int64 = 0
  /// Its newest epoch.
  var epoch: Int64 = 0
  /// Its newest seq that was sure to be on disk; 0: none.
  var seq: Int64 = 0
}

/// The file of a `NewestMark`. It is written after what it tells of is on disk, so it may be behind, and is never ahead.
/// One thread at a time.
final class NewestFile {
  // Two slots, written in turn, each with a number that grows and a checksum: a torn one leaves the other.
  private static let slotBytes = 64
  private static let magic: Int64 = 0x3174_7365_7765_6e20
  private let file: Int32
  private var count: Int64

  static func path(in directory: String) -> String { directory + "/newest" }

  /// Opens the file, made when it is not there.
  ///
  /// - Throws: `StorageError`.
  init(directory: String) throws(StorageError) {
    let path = Self.path(in: directory)
    count = Self.slots(in: directory).map(\.count).max() ?? 0
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw StorageError("\(path): \(String(cString: strerror(errno)))") }
  }

  deinit { close(file) }

  /// What the file of a directory says; nil when there is none, or it says nothing that can be relied on.
  static func read(in directory: String) -> NewestMark? {
    slots(in: directory).max { $0.count < $1.count }?.mark
  }

  /// Costs a microsecond. It need not reach the disk: an older mark is as true.
  func write(_ mark: NewestMark) {
    count &+= 1
    let bytes = Self.encode(mark, count)
    _ = bytes.withUnsafeBytes {
      pwrite(file, $0.baseAddress, $0.count, off_t(count & 1) * off_t(Self.slotBytes))
    }
  }

  /// In both slots, and on disk: what the file said before is no longer so.
  func replace(_ mark: NewestMark) {
    for _ in 0..<2 { write(mark) }
    fsync(file)
  }

  private static func encode(_ mark: NewestMark, _ count: Int64) -> [UInt8] {
    var bytes: [UInt8] = []
    func append(_ value: Int64) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
    for value in [magic, mark.log, mark.epoch, mark.seq, count, 0, 0] { append(value) }
    append(bytes.withUnsafeBytes { LogBlock.checksum($0) })
    return bytes
  }

  private static func slots(in directory: String) -> [(mark: NewestMark, count: Int64)] {
    let file = open(path(in: directory), O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return [] }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 2 * slotBytes)
    let length = pread(file, &bytes, bytes.count, 0)
    var found: [(NewestMark, Int64)] = []
    for start in stride(from: 0, through: length - slotBytes, by: slotBytes) {
      let slot = Array(bytes[start..<start + slotBytes])
      let values = slot.withUnsafeBytes { slot in
        (0..<slotBytes / 8).map {
          Int64(littleEndian: slot.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self))
        }
      }
      let mark = NewestMark(log: values[1], epoch: values[2], seq: values[3])
      if values[0] == magic, encode(mark, values[4]) == slot { found.append((mark, values[4])) }
    }
    return found
  }
}

/// What a data directory once had and has no more.
public struct LogLoss: Sendable, Hashable, CustomStringConvertible {
  /// The newest seq that is there; 0: none.
  public var seq: Int64
  /// The newest that was.
  public var lostSeq: Int64
  /// The newest epoch that is there; 0: none.
  public var epoch: Int64
  /// The newest that was; 0 when nothing tells of it.
  public var lostEpoch: Int64
  /// What tells of it.
  var witness: String

  /// Which seqs are missing, and how that is known.
  public var description: String {
    let end = seq == 0 ? "there is no log" : "the log ends with seq \(seq) of epoch \(epoch)"
    let was = lostSeq > 0 ? "it went to seq \(lostSeq)" : "there was one"
    let gone =
      lostSeq > seq
      ? SeqText.missing(seq + 1, lostSeq) : "commits of epoch \(lostEpoch) may be missing"
    return "\(end), and \(witness) says that \(was)\(lostEpoch > 0 ? " in epoch \(lostEpoch)" : ""): \(gone)"
  }
}

extension LogLoss {
  /// Compares what a directory's log has with what else is there.
  ///
  /// - Parameter read: what the log itself says, asked for last, as a host may be writing; nil when it has no tables yet,
  ///   or is not there.
  static func find(in directory: String, log read: () throws -> NewestMark?) rethrows -> LogLoss? {
    let newest = NewestFile.read(in: directory)
    let followers = newest == nil ? followers(in: directory) : []
    let mark = try read()
    let (seq, epoch) = (mark?.seq ?? 0, mark?.epoch ?? 0)
    if let newest {
      guard newest.epoch > epoch || newest.seq > seq else { return nil }
      return LogLoss(
        seq: seq, lostSeq: newest.seq, epoch: epoch, lostEpoch: newest.epoch,
        witness: NewestFile.path(in: directory))
    }
    // Without it, what follows the log knows. A table that another log was put under is brought to that.
    return followers.filter { $0.applied > seq && (mark == nil || mark?.log == $0.log) }.max {
      $0.applied < $1.applied
    }.map { LogLoss(seq: seq, lostSeq: $0.applied, epoch: epoch, lostEpoch: 0, witness: $0.path) }
  }

  /// Tables of database stores, and how far they are.
  private static func followers(in directory: String) -> [(path: String, log: Int64, applied: Int64)] {
    var found: [(String, Int64, Int64)] = []
    for path in files(in: directory) where path.hasSuffix(".sqlite") && !path.hasSuffix("/log.sqlite") {
      guard let database = try? Database(path: path, creates: false, isReadOnly: true) else { continue }
      defer { database.close() }
      try? database.run("SELECT log, applied FROM trigger_host") {
        found.append((path, $0.int(0), $0.int(1)))
      }
    }
    return found
  }

  private static func files(in directory: String, depth: Int = 3) -> [String] {
    guard depth > 0, let stream = opendir(directory) else { return [] }
    defer { closedir(stream) }
    var found: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name.hasPrefix(".") { continue }
      let path = directory + "/" + name
      if Int32(entry.pointee.d_type) == 4 {
        found += files(in: path, depth: depth - 1)
      } else {
        found.append(path)
      }
    }
    return found.sorted()
  }
}
