import TriggerCore
import TriggerHost

extension LuaAPI {
  /// The API for Lua language servers (LuaCATS annotations): a file that is never run, and tells editors what to
  /// complete and to check.
  package static var annotations: String {
    let parts = [
      """
      ---@meta trigger-host
      -- Written by `trigger-host annotations`; do not edit. What scripts have of Lua's own functions is here too: the
      -- server's definitions of them are switched off in .luarc.json.


      """,
      classes.map { AnnotationWriter.text(of: $0) }.joined(),
      AnnotationWriter.event,
      AnnotationWriter.shape("Trigger", "What a script returns.", triggerFields, needed: ["execute"]),
      AnnotationWriter.shape("TriggerBindings", "What a trigger reacts to: one or a list of each.", bindings),
      AnnotationWriter.shape(
        "TriggerRetry", "How often, and with which pauses, a failed execution is tried again.", retryFields,
        needed: ["attempts"]),
      constants.filter { $0.name != "_G" }.map { AnnotationWriter.global($0.name, $0.type, $0.summary) }
        .joined(),
      "---All global names.\n_G = {}\n\n",
      functions.map { AnnotationWriter.text(of: $0, in: "") }.joined(),
      AnnotationWriter.dateTable,
      libraries.map { AnnotationWriter.text(of: $0) }.joined(),
      "-- In *_test.lua files only.\n\n",
      testClasses.map { AnnotationWriter.text(of: $0) }.joined(),
      testFunctions.map {
        $0.name == "host" ? AnnotationWriter.callable($0) : AnnotationWriter.text(of: $0, in: "")
      }
      .joined(),
    ]
    // Every part ends in an empty line.
    return String(parts.joined().dropLast())
  }

  /// Settings for language servers, for a project whose scripts are in `triggers`.
  package static var languageServerSettings: String {
    let paths = modulePaths.map { "\"triggers/\($0)\"" }.joined(separator: ", ")
    let off = [
      "basic", "bit", "bit32", "debug", "ffi", "io", "jit", "os", "package", "string", "table", "math",
      "utf8", "coroutine",
    ]
    // The last two are read by servers that know no runtime.path, and that take every element of a list for nil.
    return """
      {
        "runtime.version": "Lua 5.4",
        "runtime.path": [\(paths)],
        "runtime.pathStrict": true,
        "runtime.builtin": { \(off.map { "\"\($0)\": \"disable\"" }.joined(separator: ", ")) },
        "workspace.library": ["library"],
        "workspace.checkThirdParty": false,
        "workspace.workspaceRoots": ["triggers"],
        "strict.arrayIndex": false
      }

      """
  }
}

/// Writes annotations.
private enum AnnotationWriter {
  static func comment(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { "---\($0)\n" }.joined()
  }

  static func text(of item: LuaAPI.Class) -> String {
    let head = comment(item.summary) + "---@class \(item.name)\n"
    if item.methods.isEmpty { return head + item.fields.map { field($0) }.joined() + "\n" }
    // The host's own objects; the others are tables of the script.
    return head + "local \(item.name) = {}\n\n"
      + item.fields.map {
        comment($0.summary) + "---@readonly\n---@type \($0.type)\n\(item.name).\($0.name) = nil\n\n"
      }
      .joined()
      + item.methods.map { text(of: $0, in: item.name + ":") }.joined()
  }

  /// A table that a script writes.
  static func shape(_ name: String, _ summary: String, _ fields: [LuaAPI.Field], needed: [String] = [])
    -> String
  {
    comment(summary) + "---@class \(name)\n"
      + fields.map { field($0, isOptional: !needed.contains($0.name)) }.joined() + "\n"
  }

  private static func field(_ field: LuaAPI.Field, isOptional: Bool = false) -> String {
    "---@field \(field.name)\(isOptional ? "?" : "") \(field.type)"
      + (field.summary.isEmpty ? "\n" : " \(field.summary)\n")
  }

  /// A sender may put in anything, also under these names: so their types are part of what is said of them.
  static var event: String {
    let fields = LuaAPI.events.flatMap { event in
      event.fields.map { LuaAPI.Field($0.name, "any", "\(event.kinds): `\($0.type)`. \($0.summary)") }
    }
    return comment("What the sender put in: the fields of a message, a feed's row, the payload of an `emit`.")
      + "---@class Event\n---@field [string] any\n" + fields.map { field($0) }.joined() + "\n"
  }

  static var dateTable: String {
    let numbers = ["year", "month", "day", "hour", "min", "sec", "wday", "yday"].map {
      LuaAPI.Field($0, "integer", $0 == "wday" ? "1 is Sunday." : "")
    }
    let fields = numbers + [LuaAPI.Field("isdst", "boolean", "Always false: times are in UTC.")]
    return shape(
      "DateTable", "A time in parts, as `os.date(\"*t\")` gives it.", fields, needed: fields.map(\.name))
  }

  static func global(_ name: String, _ type: String, _ summary: String) -> String {
    comment(summary) + "---@type \(type)\n\(name) = nil\n\n"
  }

  /// A global that is an object, and a function that makes another.
  static func callable(_ function: LuaAPI.Function) -> String {
    let (result, type) = (function.results[0], "Shared" + function.results[0])
    let parameters = function.parameters.map { "\($0.name)\($0.isOptional ? "?" : ""): \($0.type)" }
    return "---@class \(type) : \(result)\n"
      + "---@overload fun(\(parameters.joined(separator: ", "))): \(result)\nlocal \(type) = {}\n\n"
      + global(function.name, type, described(function))
  }

  static func text(of library: LuaAPI.Library) -> String {
    var text = comment(library.summary) + "---@class \(library.name)lib\n"
    for constant in library.constants {
      text += "---@field \(constant.name) \(constant.type) \(constant.summary)\n"
    }
    text += "\(library.name) = {}\n\n"
    // Methods of texts come from the class of either name.
    if library.name == "string" { text += "---@class string : stringlib\n\n" }
    for function in library.functions { text += self.text(of: function, in: library.name + ".") }
    return text
  }

  static func text(of function: LuaAPI.Function, in owner: String) -> String {
    var text = comment(described(function))
    if !function.generics.isEmpty { text += "---@generic \(function.generics.joined(separator: ", "))\n" }
    for parameter in function.parameters {
      text += "---@param \(parameter.name)\(parameter.isOptional ? "?" : "") \(parameter.type)\n"
    }
    for result in function.results { text += "---@return \(result)\n" }
    for overload in function.overloads { text += "---@overload \(overload)\n" }
    let names = function.parameters.map(\.name).joined(separator: ", ")
    return text + "function \(owner)\(function.name)(\(names)) end\n\n"
  }

  /// What a function is for in one line, then the rest in paragraphs of their own.
  private static func described(_ function: LuaAPI.Function) -> String {
    [
      function.summary, function.change.map { "Here: \($0)." },
      function.details.isEmpty ? nil : function.details,
      function.example.map { "```lua\n\($0.code)\n```" },
    ].compactMap(\.self).joined(separator: "\n\n")
  }
}
