import TriggerCore

/// The log takes no more records, so nothing can be promised any more.
public struct LogFailed: Error, Sendable, CustomStringConvertible {
  /// What the disk says.
  public let description: String
}

/// The queue is stopped: by `TriggerQueue.stop`, or with its host.
public struct QueueStopped: Error, Sendable, Hashable, CustomStringConvertible {
  /// The event had come into the queue before. What of it was committed by then stays; whether anything was, nobody has
  /// learned. False: it was not taken, and nothing of it happens.
  public let wasTaken: Bool
  /// For the sender.
  public var description: String {
    wasTaken
      ? "the queue was stopped before it was told what became of the event: what was committed of it stays"
      : "the queue is stopped: the event was not taken, and nothing of it happens"
  }

  package init(wasTaken: Bool) { self.wasTaken = wasTaken }
}

/// A key came a second time, with another event.
public struct KeyReused: Error, Sendable, CustomStringConvertible {
  /// The key.
  public let key: String
  /// For the sender.
  public var description: String {
    "the idempotency key '\(key)' was used with another event; send each event with a key of its own"
  }
}

/// As many keys of senders are known as may be (`EngineConfiguration.keys`): the event was not taken.
public struct KeysFull: Error, Sendable, CustomStringConvertible {
  /// How many that is.
  public let limit: Int
  /// When the oldest ones are forgotten.
  public let until: Timestamp
  /// For the sender.
  public var description: String {
    "keys in the window are full: \(limit) have come within 24 hours (limits.keys); a new one is taken from \(until) on, when the oldest are forgotten. Nothing was run"
  }
}

/// The queue has no room and the configuration says to refuse.
public struct QueueFull: Error, CustomStringConvertible {
  /// `EngineConfiguration.queueCapacity`, in operations.
  public let capacity: Int
  /// For the sender: what happened, and what to do.
  public var description: String {
    "the queue is full (\(capacity) operations): try again later, or raise queue.capacity"
  }
}
