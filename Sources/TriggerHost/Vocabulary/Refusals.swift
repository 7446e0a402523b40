import TriggerCore

/// The log can take no more records, so the queue takes no more events.
public struct QueueFailed: Error, Sendable, CustomStringConvertible {
  /// What the log could not do, for programs.
  public let reason: LogFailure
  /// The error of the disk, for people.
  public var description: String { reason.description }
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

/// A sender used a key a second time, with another event. The second event was refused.
public struct KeyReused: Error, Sendable, CustomStringConvertible {
  /// The key that the sender used twice.
  public let key: String
  /// The message for the sender.
  public var description: String {
    "the idempotency key '\(key)' was used with another event; send each event with a key of its own"
  }
}

/// The engine knows as many keys as it may (`EngineConfiguration.keys`), so it refused the event. Nothing was run.
public struct KeysFull: Error, Sendable, CustomStringConvertible {
  /// The limit, in keys.
  public let limit: Int
  /// When the oldest keys are forgotten.
  public let until: Timestamp
  /// The message for the sender.
  public var description: String {
    "the limit of \(limit) keys within 24 hours (limits.keys) is reached; new keys are taken from \(until) on. Nothing was run"
  }
}

/// The queue is full and `EngineConfiguration.whenFull` is `refuse`, so the queue refused the event.
public struct QueueFull: Error, CustomStringConvertible {
  /// `EngineConfiguration.queueCapacity`, in operations.
  public let capacity: Int
  /// The message for the sender: what happened, and what to do.
  public var description: String {
    "the queue is full (\(capacity) operations): try again later, or raise queue.capacity"
  }
}
