import TriggerCore
import TriggerHost

/// Short texts on the API, for the REPL.
package enum Help {
  package static let general = """
    store "charts":get "EURUSD"     reads a store as of the snapshot; ctx is what execute gets
    = 1 + 1, or just 1 + 1          expressions are printed; what put, add and emit give is shown, never applied
    require "lib.rsi"               modules of the script tree
    help "store:scan"               says what a function does
    Tab completes, Ctrl-C ends what runs, Ctrl-D ends the session.
    """

  /// What is known of `print`, `string.format`, `ctx:store`, `store:scan`, or `scan`.
  package static func text(on topic: String) -> String {
    let found = entries.filter { entry in
      entry.name == topic
        || entry.name.split(whereSeparator: { $0 == ":" || $0 == "." }).last.map(String.init) == topic
    }
    if found.isEmpty {
      let names = entries.flatMap {
        [$0.name, String($0.name.split(whereSeparator: { $0 == ":" || $0 == "." }).last!)]
      }
      return "nothing is known of '\(topic)'\(Suggestion.clause(for: topic, among: names))"
    }
    return found.map(\.text).joined(separator: "\n\n")
  }

  private static let entries: [(name: String, text: String)] = {
    var entries: [(name: String, text: String)] = []
    func add(_ owner: String, _ function: LuaAPI.Function) {
      var lines = ["\(owner)\(function.name)\(function.parameterList)", "  " + function.summary]
      if let change = function.change { lines.append("  Other than in Lua, it \(change).") }
      if !function.details.isEmpty { lines.append("  " + function.details) }
      if let example = function.example { lines += example.code.split(separator: "\n").map { "    \($0)" } }
      entries.append((owner + function.name, lines.joined(separator: "\n")))
    }
    for item in [LuaAPI.context, LuaAPI.store] {
      entries.append(
        (item.variable, "\(item.variable)\n  \(item.summary)\n  \(item.names.joined(separator: ", "))"))
      for field in item.fields {
        entries.append(
          ("\(item.variable).\(field.name)", "\(item.variable).\(field.name)\n  \(field.summary)"))
      }
      for method in item.methods { add(item.variable + ":", method) }
    }
    for constant in LuaAPI.constants {
      entries.append((constant.name, "\(constant.name)\n  \(constant.summary)"))
    }
    for function in LuaAPI.functions { add("", function) }
    for library in LuaAPI.libraries {
      entries.append(
        (library.name, "\(library.name)\n  \(library.summary)\n  \(library.names.joined(separator: ", "))"))
      for constant in library.constants {
        entries.append(
          ("\(library.name).\(constant.name)", "\(library.name).\(constant.name)\n  \(constant.summary)"))
      }
      for function in library.functions { add(library.name + ".", function) }
    }
    return entries
  }()
}
