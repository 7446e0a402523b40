import TriggerCore

/// So many nanoseconds after some moment, for machines that are told the time.
func moment(_ nanoseconds: Int64) -> MonotonicTime { MonotonicTime(nanoseconds: nanoseconds) }
