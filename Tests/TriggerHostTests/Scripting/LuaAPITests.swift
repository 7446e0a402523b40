import Foundation
import Testing
import TriggerCore
import TriggerHost
import TriggerWorkshop
import TriggerLua

/// The definition of the Lua API and the sandbox say the same, and what is generated from it is up to date.
@Suite struct LuaAPITests {
  /// What the real sandbox has, by global name: a type, or the names in a table.
  private func sandbox() throws -> Value.Map {
    let lua = try #require(LuaWorker(host: silentHost))
    lua.bind()
    let names = try lua.names()
    guard case .map(let map) = try names.withUnsafeBytes({ try CanonicalEncoding.decode($0) }) else {
      throw TestFailure("the names are no map")
    }
    return map
  }

  private func names(_ value: Value?) throws -> Set<String> {
    guard case .array(let list)? = value else {
      throw TestFailure("no list of names: \(String(describing: value))")
    }
    return Set(list.map { if case .string(let name) = $0 { name } else { "\($0)" } })
  }

  @Test func theDefinitionIsTheSandbox() throws {
    var sandbox = try sandbox()
    #expect(try names(sandbox.removeValue(forKey: "ctx")) == Set(LuaAPI.context.names))
    #expect(
      try names(sandbox.removeValue(forKey: "store")) == Set(LuaAPI.store.names))
    #expect(Set(sandbox.keys) == Set(LuaAPI.globals))
    #expect(LuaAPI.globals.count == Set(LuaAPI.globals).count, "each once")
    for library in LuaAPI.libraries {
      #expect(try names(sandbox[library.name]) == Set(library.names), "\(library.name)")
    }
    for function in LuaAPI.functions { #expect(sandbox[function.name] == "function", "\(function.name)") }
    for constant in LuaAPI.constants where constant.name != "_G" {
      #expect(sandbox[constant.name] == .string(constant.type), "\(constant.name)")
    }
  }

  @Test func whatIsSaidToBeAbsentIsAbsent() throws {
    let sandbox = try sandbox()
    for absent in LuaAPI.absent {
      let parts = absent.name.split(separator: ".").map(String.init)
      if parts.count == 1 {
        #expect(sandbox[parts[0]] == nil, "\(absent.name)")
      } else {
        #expect(try !names(sandbox[parts[0]]).contains(parts[1]), "\(absent.name)")
      }
    }
  }

  @Test func aTriggersFieldsAreThoseOfTheDefinition() throws {
    // ScriptTable suggests from the definition; here each field is really taken.
    let values = [
      "on": "{ event = 'x' }", "execute": "function() end", "name": "'n'", "priority": "'low'",
      "timeout": "'1s'",
      "memory": "'1mb'", "order_by": "'a'", "coalesce": "true", "debounce": "'1s'", "throttle": "'1s'",
      "mode": "'single'",
      "max_instances": "2", "retry": "3",
    ]
    #expect(Set(values.keys) == Set(LuaAPI.triggerFields.map(\.name)))
    let text = values.map { "\($0.key) = \($0.value)" }.joined(separator: ", ")
    let tree = ScriptTree(files: ["t.lua": Array("return { \(text) }".utf8)])
    #expect(tree.problems.isEmpty, "\(tree.problems)")
    #expect(LuaAPI.bindings.map(\.name).sorted() == EventKind.allCases.map(\.rawValue).sorted())
  }

  // MARK: Generated files

  /// What language servers make of these forms was looked at with a real one.
  @Test(arguments: [
    // `event` completes what commits and schedules bring, and allows every other name.
    "---@class Event\n---@field [string] any\n---@field keys any `commit`: `string[]`.",
    "---@field execute fun(event: Event, ctx: Ctx): Intent|table|nil",
    // What cannot be assigned.
    "---@readonly\n---@type integer\nCtx.seq = nil",
    // What comes out of a loop has the type of what is in the list.
    "---@generic V\n---@param list V[]\n---@return fun(): integer, V\nfunction ipairs(list) end",
    "---@generic K, V\n---@param table table<K, V>\n---@return fun(): K, V\nfunction pairs(table) end",
    // By its format.
    "---@return string\n---@overload fun(format: \"*t\"|\"!*t\", time?: number): DateTable\nfunction os.date(format, time) end",
    // An object, and a function that makes another.
    "---@class SharedHost : Host\n---@overload fun(options?: HostOptions): Host\nlocal SharedHost = {}",
    "---@type SharedHost\nhost = nil",
    "---@field logs ResultLog[]",
    // Methods of texts.
    "---@class stringlib\nstring = {}\n\n---@class string : stringlib\n",
    // A paragraph for each part.
    "---Opens a store as of this execution's snapshot.\n---\n---A store that",
  ])
  func annotationsSay(form: String) { #expect(LuaAPI.annotations.contains(form)) }

  @Test func annotationsAreLua() throws {
    let tree = ScriptTree(files: ["lib/annotations.lua": Array(LuaAPI.annotations.utf8)])
    #expect(tree.problems.isEmpty, "\(tree.problems)")
    #expect(
      LuaAPI.annotations.contains(
        "---@param prefix? string\n---@param limit? integer\n---@return fun(): string, any\nfunction Store:scan(prefix, limit) end"
      ))
    #expect(LuaAPI.annotations.contains("---@param level \"debug\"|\"info\"|\"warn\"|\"warning\"|\"error\""))
    let settings =
      try JSONSerialization.jsonObject(with: Data(LuaAPI.languageServerSettings.utf8)) as? [String: Any]
    #expect(settings?["workspace.workspaceRoots"] as? [String] == ["triggers"])
    #expect((settings?["runtime.path"] as? [String])?.contains("triggers/lib/?/init.lua") == true)
  }

  /// UPDATE_GENERATED=1 writes the files anew.
  @Test(arguments: [("Scripting.md", ScriptingPage.text), ("TestingScripts.md", TestingPage.text)])
  func theReferenceIsUpToDate(name: String, text: String) throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../../Sources/TriggerHost/Documentation.docc/\(name)").standardized
    if ProcessInfo.processInfo.environment["UPDATE_GENERATED"] != nil {
      try Data(text.utf8).write(to: file)
    }
    let there = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    #expect(
      there == text,
      "\(name) is not what the definition gives; run UPDATE_GENERATED=1 swift test --filter LuaAPITests")
  }
}

struct TestFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// A host that has nothing.
private let silentHost = LuaHostFunctions(
  store: { _, _, _, _, _ in nil }, get: { _, _, _, _, _ in nil }, scanBegin: { _, _, _, _ in nil },
  scanNext: { _, _, _, _, _ in 0 }, count: { _, _, _, _ in 0 }, version: { _, _ in 0 },
  log: { _, _, _, _, _, _, _ in }, source: { _, _, _ in nil })
