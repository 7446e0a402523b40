import Foundation
import TriggerCore
import TriggerHost
import TriggerReplay
import TriggerRuntime

/// A state, for people and for programs, one key in memory at a time.
struct StateOutput {
  private let state: Replayer
  init(_ state: Replayer) { self.state = state }

  func show(asJSON: Bool) throws {
    let out = LineWriter.standardOutput
    if asJSON { try writeJSON(out) } else { try writeText(out) }
    try out.flush()
  }

  private func writeText(_ out: LineWriter) throws {
    try out.put("seq \(state.seq)\n")
    for name in state.storeNames {
      var count = 0
      try state.visit(name) { _, _, _ in count += 1 }
      try out.put("store \(name), \(count) keys\n")
      try state.visit(name) { key, value, _ in try out.put("  \(key) = \(value)\n") }
    }
  }

  /// `{store: {key: value}}`
  private func writeJSON(_ out: LineWriter) throws {
    var separator = "{"
    for name in state.storeNames {
      try out.exact("\(separator)\(Value.string(name).jsonText.withJSONEscapes):")
      var inner = "{"
      try state.visit(name) { key, value, _ in
        try out.exact("\(inner)\(Value.string(key)):\(value.jsonText)".withJSONEscapes)
        inner = ","
      }
      try out.exact(inner == "{" ? "{}" : "}")
      separator = ","
    }
    try out.exact(separator == "{" ? "{}\n" : "}\n")
  }

  /// One line for each key: `{"store": ..., "key": ..., "value": ..., "version": ...}`.
  ///
  /// - Parameter path: a file, made or replaced whole; `-` is standard output.
  func export(to path: String) throws {
    let out = path == "-" ? LineWriter.standardOutput : try LineWriter(replacing: path)
    for name in state.storeNames {
      try state.visit(name) { key, value, version in
        var fields: Value.Map = [
          "store": .string(name), "key": .string(key), "version": .int(version),
        ]
        fields.add(value, as: "value")
        try out.json(.map(fields))
      }
    }
    try out.finish()
  }
}
