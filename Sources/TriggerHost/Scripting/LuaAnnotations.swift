extension LuaAPI {
  /// The API for the Lua language server (LuaCATS annotations): a file that is never run, and tells editors what
  /// to complete and to check.
  package static var annotations: String {
    var text = """
      ---@meta trigger-host
      -- Written by `trigger-host annotations`; do not edit. Lua's io, os, debug, package and basic functions are
      -- switched off in .luarc.json: what scripts have of them is here.


      """
    text += classes.map { AnnotationWriter.text(of: $0) }.joined()
    text += AnnotationWriter.shape("Trigger", "What a script returns.", triggerFields, optional: ["execute"])
    text += AnnotationWriter.shape(
      "TriggerBindings", "What a trigger reacts to: one or a list of each.", bindings, optional: [])
    text += """
      ---How often, and with which pauses, a failed execution is tried again.
      ---@class TriggerRetry
      ---@field attempts integer Tries together, 1 to 100.
      ---@field backoff? string The first pause, `"1s"` by default; each further one is twice as long.
      ---@field longest? string No pause is longer.


      """
    for constant in constants where constant.name != "_G" {
      text +=
        AnnotationWriter.comment(constant.summary) + "---@type \(constant.type)\n\(constant.name) = nil\n\n"
    }
    text += "---All global names.\n_G = {}\n\n"
    for function in functions { text += AnnotationWriter.text(of: function, in: "") }
    for library in libraries { text += AnnotationWriter.text(of: library) }
    text += "-- In *_test.lua files only.\n\n"
    for testClass in testClasses { text += AnnotationWriter.text(of: testClass) }
    for function in testFunctions where function.name != "host" {
      text += AnnotationWriter.text(of: function, in: "")
    }
    let host = testFunctions.first { $0.name == "host" }!
    text +=
      AnnotationWriter.comment(host.summary) + "---@type Host|fun(options?: HostOptions): Host\nhost = nil\n"
    return text
  }

  /// Settings for the language server, for a project whose scripts are in `triggers`.
  package static var languageServerSettings: String {
    let paths = modulePaths.map { "\"triggers/\($0)\"" }.joined(separator: ", ")
    let off = [
      "basic", "bit", "bit32", "debug", "ffi", "io", "jit", "os", "package", "string", "table", "math",
      "utf8", "coroutine",
    ]
    return """
      {
        "runtime.version": "Lua 5.4",
        "runtime.path": [\(paths)],
        "runtime.pathStrict": true,
        "runtime.builtin": { \(off.map { "\"\($0)\": \"disable\"" }.joined(separator: ", ")) },
        "workspace.library": ["library"],
        "workspace.checkThirdParty": false
      }

      """
  }
}

/// Writes annotations.
private enum AnnotationWriter {
  static func comment(_ text: String) -> String {
    text.split(separator: "\n").map { "---\($0)\n" }.joined()
  }

  static func text(of item: LuaAPI.Class) -> String {
    let name = item.name
    var text = comment(item.summary) + "---@class \(name)\n"
    for field in item.fields { text += "---@field \(field.name) \(field.type) \(field.summary)\n" }
    if item.methods.isEmpty { return text + "\n" }
    text += "local \(name) = {}\n\n"
    for method in item.methods { text += self.text(of: method, in: name + ":") }
    return text
  }

  static func shape(_ name: String, _ summary: String, _ fields: [LuaAPI.Field], optional needed: [String])
    -> String
  {
    var text = comment(summary) + "---@class \(name)\n"
    for field in fields {
      text +=
        "---@field \(field.name)\(needed.contains(field.name) ? "" : "?") \(field.type) \(field.summary)\n"
    }
    return text + "\n"
  }

  static func text(of library: LuaAPI.Library) -> String {
    // Methods of texts come from the class of this name.
    let type = library.name == "string" ? "stringlib" : library.name + "lib"
    var text = comment(library.summary) + "---@class \(type)\n"
    for constant in library.constants {
      text += "---@field \(constant.name) \(constant.type) \(constant.summary)\n"
    }
    text += "\(library.name) = {}\n\n"
    for function in library.functions { text += self.text(of: function, in: library.name + ".") }
    return text
  }

  static func text(of function: LuaAPI.Function, in owner: String) -> String {
    var text = comment(function.summary)
    if let change = function.change { text += comment("Here: " + change + ".") }
    if !function.details.isEmpty { text += comment(function.details) }
    if let example = function.example { text += comment("```lua\n\(example.code)\n```") }
    for parameter in function.parameters {
      text += "---@param \(parameter.name)\(parameter.isOptional ? "?" : "") \(parameter.type)\n"
    }
    for result in function.results { text += "---@return \(result)\n" }
    let names = function.parameters.map(\.name).joined(separator: ", ")
    return text + "function \(owner)\(function.name)(\(names)) end\n\n"
  }
}
