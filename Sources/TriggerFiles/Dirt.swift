import TriggerCore

/// Which parts of a directory may have changed.
package struct Dirt: Equatable, Sendable {
  /// Anything may have.
  package var everything = false
  /// What links lead to may have, the root's own among them.
  package var links = false
  /// These files or directories have, relative to the directory.
  package var paths: Set<String> = []
  /// Files of ours (`TemporaryName`) that others have written to: they had them open under another name.
  package var temporaries: Set<String> = []

  package init() {}
  package init(paths: Set<String>) { self.paths = paths }
  package static let everything: Dirt = {
    var dirt = Dirt()
    dirt.everything = true
    return dirt
  }()

  package var isEmpty: Bool { !everything && !links && paths.isEmpty && temporaries.isEmpty }

  package mutating func merge(_ other: Dirt) {
    everything = everything || other.everything
    links = links || other.links
    paths.formUnion(other.paths)
    temporaries.formUnion(other.temporaries)
  }
}

/// Names of the files that a write-out makes beside those it writes. Hidden, so no directory counts them.
package enum TemporaryName {
  private static let prefix = ".trigger-host-"

  package static func make() -> String {
    prefix + String(UInt64.random(in: .min ... .max), radix: 36)
  }

  static func isOne(_ name: String) -> Bool { name.hasPrefix(prefix) }
}
