/// Names of triggers that the engine itself uses.
package enum ReservedTrigger {
  /// The name of the trigger, in the log, for an operation that puts scripts in force.
  package static let scripts = "scripts"
}
