/// Why a log takes no more records. The cases are for programs, the texts for people.
public enum LogFailure: Error, Sendable, Hashable, CustomStringConvertible {
  /// Somebody has begun a newer epoch: what is written under this one would not be in order with what they write.
  case fenced
  /// Nobody can say whether the last group was written, for example because the connection was lost meanwhile.
  case unknown(String)
  /// Records that had been written and told of are not there any more.
  case lostTail(String)
  /// The group was not written, for example because the disk is full or the file was replaced.
  case refused(String)
  /// The log was closed before.
  case closed

  /// The reason, for people.
  public var description: String {
    switch self {
    case .fenced: "another writer has begun a newer epoch, and this one writes no more"
    case .closed: "the log is closed: its host has ended"
    case .unknown(let reason), .lostTail(let reason), .refused(let reason): reason
    }
  }
}
