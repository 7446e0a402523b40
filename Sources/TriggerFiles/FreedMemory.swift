import CTriggerFiles

/// Gives memory that was freed back to the system: after a look at a large directory, which needs much of it for a
/// moment. O(memory of the process); milliseconds.
package func giveBackFreedMemory() { tf_trim_memory() }
