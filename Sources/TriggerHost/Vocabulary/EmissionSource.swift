/// Sources of events: those of one source keep their order at each trigger. A host's doors number theirs from 0; what the
/// engine itself admits has sources that no door uses.
package enum EmissionSource {
  /// Events of commits, all of them: triggers that are bound to commits hear of these in the order of the commits.
  private static let commits: UInt64 = 1 << 62
  /// With the hash of a trigger's name: what that trigger emits.
  private static let emitters: UInt64 = 1 << 63

  /// - Parameter nameHash: `StableHash` of the name of the trigger whose commit it is.
  package static func emitted(_ kind: EventKind, by nameHash: UInt64) -> UInt64 {
    kind == .commit ? commits : nameHash | emitters
  }
}
