import Glibc

/// Linux's notification of changes in directories (inotify(7)). One thread at a time.
final class Inotify {
  let file: Int32
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 8)

  /// What is asked for. Not IN_MODIFY: a file counts when its writer has closed it, so nobody sees half of it.
  private static let mask = UInt32(
    IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF
      | IN_MOVE_SELF | IN_ONLYDIR)

  /// Nil when the system has no more of them to give.
  init?() {
    file = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
    if file < 0 { return nil }
  }

  deinit {
    close(file)
    buffer.deallocate()
  }

  enum Watching { case watch(Int32), absent, exhausted }

  /// Watches a directory; one that is watched already keeps its watch.
  func watch(_ directory: String) -> Watching {
    let watch = inotify_add_watch(file, directory, Self.mask)
    if watch >= 0 { return .watch(watch) }
    return errno == ENOSPC || errno == ENOMEM ? .exhausted : .absent
  }

  func unwatch(_ watch: Int32) { inotify_rm_watch(file, watch) }

  /// What has happened since the last call, in order.
  func events() -> [WatchEvent] {
    var events: [WatchEvent] = []
    while true {
      let count = read(file, buffer.baseAddress, buffer.count)
      if count <= 0 { return events }
      Self.decode(UnsafeRawBufferPointer(rebasing: buffer[..<count]), into: &events)
    }
  }

  private static func decode(_ bytes: UnsafeRawBufferPointer, into events: inout [WatchEvent]) {
    var offset = 0
    let header = MemoryLayout<inotify_event>.size
    while offset + header <= bytes.count {
      let event = bytes.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
      let name = UnsafeRawBufferPointer(
        rebasing: bytes[(offset + header)..<(offset + header + Int(event.len))])
      offset += header + Int(event.len)
      guard let kind = kind(of: event.mask) else { continue }
      var decoded = WatchEvent(watch: event.wd, kind: kind)
      decoded.isDirectory = event.mask & UInt32(IN_ISDIR) != 0
      if event.len > 0 {
        let used = name.prefix { $0 != 0 }
        let valid = String(validating: used, as: UTF8.self)
        decoded.name = valid ?? String(decoding: used, as: UTF8.self)
        decoded.isUTF8 = valid != nil
      }
      events.append(decoded)
    }
  }

  private static func kind(of mask: UInt32) -> WatchEvent.Kind? {
    func has(_ bits: some BinaryInteger) -> Bool { mask & UInt32(truncatingIfNeeded: bits) != 0 }
    if has(IN_Q_OVERFLOW) { return .overflow }
    if has(IN_IGNORED) { return .watchGone }
    if has(IN_DELETE_SELF) || has(IN_MOVE_SELF) || has(IN_UNMOUNT) { return .selfGone }
    if has(IN_CLOSE_WRITE) { return .written }
    if has(IN_MOVED_TO) { return .appeared }
    if has(IN_CREATE) { return .created }
    if has(IN_DELETE) || has(IN_MOVED_FROM) { return .vanished }
    return has(IN_ATTRIB) ? .attributes : nil
  }
}
