import TriggerCore

/// An intent of a commit that leaves the host: a message to a session, or to all who have subscribed to a topic.
public struct Effect: Sendable, Hashable {
  /// Names one effect for ever: of one log no other has the same. Compares in the order of the commits.
  public struct ID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The epoch under which the commit was written.
    public var epoch: Int64
    /// The seq of the commit.
    public var seq: Int64
    /// The place among the commit's intents, counted from 0.
    public var index: Int

    package init(epoch: Int64, seq: Int64, index: Int) {
      (self.epoch, self.seq, self.index) = (epoch, seq, index)
    }

    /// `epoch-seq-index`.
    public var description: String { "\(epoch)-\(seq)-\(index)" }

    /// The seqs decide, then the places.
    public static func < (one: ID, other: ID) -> Bool { (one.seq, one.index) < (other.seq, other.index) }
  }

  /// Its id. A receiver that gets an id again has got the same effect again.
  public var id: ID
  /// Where it goes.
  public var kind: EffectKind
  /// The session's id, or the topic.
  public var target: String
  /// The message in canonical encoding: a map.
  public var message: [UInt8]

  package init(id: ID, kind: EffectKind, target: String, message: [UInt8]) {
    (self.id, self.kind, self.target, self.message) = (id, kind, target, message)
  }

  /// The message. O(its bytes).
  public var value: Value {
    do { return try message.withUnsafeBytes { try CanonicalEncoding.decode($0) } } catch {
      preconditionFailure("the message of effect \(id) cannot be read: \(error)")
    }
  }

  /// Why a message cannot be one; nil when it can. The same rules as for scripts (`ctx:send`).
  package static func problem(ofMessage bytes: [UInt8]) -> String? {
    guard case .map(let fields)? = try? bytes.withUnsafeBytes({ try CanonicalEncoding.decode($0) }) else {
      return "a message must be a map"
    }
    if fields["token"] != nil {
      return "the message has a field 'token', which the host adds; use another name"
    }
    switch fields["type"] {
    case nil: return nil
    case .string(let type)? where !type.hasPrefix("$"): return nil
    case .string?: return "the message's type begins with '$', as those of the host do; use another one"
    default: return "the message's type must be a text"
    }
  }
}
