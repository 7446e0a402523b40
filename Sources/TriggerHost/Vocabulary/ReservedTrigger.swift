/// Names of triggers that are the engine's own.
package enum ReservedTrigger {
  /// What stands in the log for an operation that puts scripts in force.
  package static let scripts = "scripts"
}
