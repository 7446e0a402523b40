import Foundation
import Testing
import TriggerCore
import TriggerHost
import TriggerWorkshop
import TriggerTestKit

/// Well-known libraries in plain Lua, as Debian packages them, loaded and used inside of triggers.
@Suite(.enabled(if: DebianLua.isComplete, "lua-inspect, lua-dkjson, lua-argparse, lua-basexx, lua-penlight"))
struct LibraryTests {
  /// Runs the body of an `execute` that returns a text or a list of texts, twice; both must come to the same.
  private func run(_ body: String, files: [String: String] = DebianLua.inLib) async throws -> [String] {
    var files = files
    files["t.lua"] = """
      return { on = { event = 'x' }, timeout = '5s', execute = function(event, ctx)
        local function results() \(body) end
        return ctx:store('s'):put('k', { results() })
      end }
      """
    let host = try TestHost(scripts: files, configuration: EngineConfiguration(workers: 1))
    defer { host.stop() }
    var all: [[String]] = []
    for _ in 0..<2 {
      let result = try await host.send(Event("x"))[0]
      #expect(result.outcome == .committed, "\(result.error ?? "")")
      guard case .array(let list)? = try host.value("s", "k") else { return [] }
      all.append(list.map { if case .string(let text) = $0 { text } else { "\($0)" } })
    }
    #expect(all[0] == all[1], "nothing is left of the execution before")
    return all[0]
  }

  @Test func inspect() async throws {
    let shown = try await run("return require 'inspect' ({ 1, { b = 'x', a = true } })")
    #expect(shown == ["{ 1, {\n    a = true,\n    b = \"x\"\n  } }"])
  }

  @Test func dkjson() async throws {
    let results = try await run(
      """
      local json = require 'dkjson'
      local value = json.decode('{"a": [1, 2.5, null], "b": "\\\\u00e4"}')
      return json.encode({ 1, 'x', { k = true } }), value.b, tostring(value.a[2]), tostring(value.a[3] == nil)
      """)
    #expect(results == ["[1,\"x\",{\"k\":true}]", "ä", "2.5", "true"])
  }

  @Test func argparse() async throws {
    let results = try await run(
      """
      local parser = require 'argparse' ('tool', 'Does things.')
      parser:argument 'input'
      parser:option '-n --number' :convert(tonumber)
      local ok, arguments = parser:pparse { 'file', '-n', '3' }
      local fails, message = parser:pparse { '--what' }
      return arguments.input, tostring(arguments.number), tostring(fails), message, parser:get_usage()
      """)
    #expect(results[..<3] == ["file", "3", "false"])
    #expect(results[3].contains("unknown option '--what'"), "\(results)")
    #expect(results[4].hasPrefix("Usage: tool"), "\(results)")
  }

  @Test func basexx() async throws {
    let results = try await run(
      "local b = require 'basexx' return b.to_base64('trigger host'), b.from_base64('dHJpZ2dlciBob3N0'), b.to_base32('a'), b.to_hex('az')"
    )
    #expect(results == ["dHJpZ2dlciBob3N0", "trigger host", "ME======", "617A"])
  }

  @Test func penlight() async throws {
    let results = try await run(
      """
      local List, tablex, stringx = require 'pl.List', require 'pl.tablex', require 'pl.stringx'
      local pretty, class, Set = require 'pl.pretty', require 'pl.class', require 'pl.Set'
      local OrderedMap, template, seq = require 'pl.OrderedMap', require 'pl.template', require 'pl.seq'
      local Animal = class()
      function Animal:_init(name) self.name = name end
      local ordered = OrderedMap()
      ordered:set('z', 1)
      ordered:set('a', 2)
      return List({ 3, 1, 2 }):sort():join ' ',
        stringx.join('+', stringx.split('a,b,c', ',')),
        pretty.write({ 1, x = { 'y' } }, ''),
        tostring(tablex.deepcompare({ 1, { 2 } }, { 1, { 2 } })),
        Animal('cat').name,
        tostring(Set.len(Set { 1, 2 } * Set { 2, 3 })),
        table.concat(ordered:keys(), ' '),
        template.substitute('hello $(name)', { name = 'you' }),
        tostring(seq.sum({ 1, 2, 3 }))
      """)
    #expect(results == ["1 2 3", "a+b+c", "{1,x={\"y\"}}", "true", "cat", "1", "z a", "hello you", "6"])
  }

  /// Every module of Penlight, but for those that are about files, or about globals.
  @Test func allOfPenlightThatASandboxAllows() async throws {
    let about = [
      "pl.app": "LuaFileSystem", "pl.dir": "LuaFileSystem", "pl.file": "LuaFileSystem",
      "pl.path": "LuaFileSystem",
      "pl.test": "LuaFileSystem", "pl.init": "read-only", "pl.strict": "read-only",
    ]
    let names = DebianLua.files.keys.filter { $0.hasPrefix("pl/") }
      .map { $0.dropLast(4).replacing("/", with: ".") }.sorted()
    #expect(names.count > 30)
    let tries = names.map { "try '\($0)'" }.joined(separator: "\n")
    let refused = try await run(
      """
      local list = {}
      local function try(name)
        local ok, message = pcall(require, name)
        if not ok then list[#list + 1] = name .. ' ' .. message end
      end
      \(tries)
      return table.unpack(list)
      """)
    for text in refused {
      let name = String(text.prefix { $0 != " " })
      #expect(about[name].map { text.contains($0) } == true, "\(text)")
    }
    #expect(refused.count == about.count, "\(refused)")
  }

  @Test func checkHasNothingAgainstThem() {
    let user = """
      local inspect, json, argparse, basexx = require 'inspect', require 'dkjson', require 'argparse', require 'basexx'
      local pretty = require 'pl.pretty'
      return { on = { event = 'x' }, execute = function() end }
      """
    var files = DebianLua.inLib
    files["t.lua"] = user
    let tree = ScriptTree(files: files.mapValues { Array($0.utf8) })
    #expect(tree.problems.isEmpty, "\(tree.problems)")
    let findings = ScriptLint(tree, stores: [], isStrict: false).findings
    #expect(findings.filter { $0.severity != .note }.isEmpty, "\(findings.filter { $0.severity != .note })")
    #expect(
      findings.contains { $0.path == "lib/argparse.lua" && $0.message.hasPrefix("'os.exit' is not there") })
  }

  /// The same library in each place where `require` looks.
  @Test(arguments: ["lib/", "", "lua_modules/share/lua/5.4/"]) func places(directory: String) async throws {
    var files: [String: String] = [:]
    for name in ["inspect.lua", "basexx.lua"] { files[directory + name] = DebianLua.files[name] }
    files[directory + "own/init.lua"] = "return { name = ..., deep = require 'own.deep' }"
    files[directory + "own/deep.lua"] = "return { inspect = require 'inspect', basexx = require 'basexx' }"
    let results = try await run(
      "local own = require 'own' return own.name, own.deep.inspect({ 1 }), own.deep.basexx.to_hex('a')",
      files: files)
    #expect(results == ["own", "{ 1 }", "61"])
  }
}

/// What Debian's packages put on disk.
enum DebianLua {
  /// `pl/pretty.lua` and the like, with their text.
  static let files: [String: String] = {
    var files: [String: String] = [:]
    for root in ["/usr/share/lua/5.4", "/usr/share/lua/5.1"] {
      for name in ["inspect.lua", "dkjson.lua", "argparse.lua", "basexx.lua"] + penlight(in: root)
      where files[name] == nil {
        files[name] = try? String(contentsOfFile: "\(root)/\(name)", encoding: .utf8)
      }
    }
    return files
  }()

  private static func penlight(in root: String) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(root)/pl")) ?? []
    return names.filter { $0.hasSuffix(".lua") }.map { "pl/\($0)" }
  }

  static let isComplete = ["inspect.lua", "dkjson.lua", "argparse.lua", "basexx.lua", "pl/utils.lua"]
    .allSatisfy { files[$0] != nil }

  static let inLib = Dictionary(uniqueKeysWithValues: files.map { ("lib/\($0.key)", $0.value) })
}

/// Where modules may be, and what is a module.
@Suite struct ModuleTests {
  private func tree(_ files: [String: String]) -> ScriptTree {
    ScriptTree(files: files.mapValues { Array($0.utf8) })
  }
  private static func user(_ name: String) -> String {
    "local m = require '\(name)'\nreturn { on = { event = 'x' }, execute = function() return m end }"
  }

  @Test func anExecutesFileIsATriggerAndARequiredOneAModule() {
    let both = tree([
      "t.lua": Self.user("own.list"), "own/list.lua": "return {}", "own/other.lua": "return 1",
    ])
    #expect(both.problems.isEmpty, "\(both.problems)")
    #expect(both.modules == ["own/list.lua", "own/other.lua"])
    #expect(both.triggers.map(\.path) == ["t.lua"])
    let alone = tree(["t.lua": Self.user("string"), "own/list.lua": "return {}"])
    #expect(alone.problems.map(\.description) == ["own/list.lua:1: no execute function"])
    // A trigger stays one, also when another file requires it.
    let required = tree(["t.lua": Self.user("u"), "u.lua": Self.user("string")])
    #expect(required.triggers.map(\.path) == ["t.lua", "u.lua"] && required.modules == [])
  }

  @Test func theFirstPlaceThatHasItCounts() async throws {
    var files = [
      "t.lua":
        "return { on = { event = 'x' }, execute = function(_, ctx) return ctx:store('s'):put('k', require 'm') end }"
    ]
    for path in LuaAPI.modulePaths.reversed() {
      let file = path.replacing("?", with: "m")
      files[file] = "return '\(file)'"
      let host = try TestHost(tree: tree(files), configuration: EngineConfiguration(workers: 1))
      try await host.send(Event("x"))
      #expect(try host.value("s", "k") == .string(file))
      host.stop()
    }
  }

  @Test func modulesAndTestsByTheirPlace() {
    let files = [
      "lib/a.lua", "x/lib/b.lua", "lua_modules/share/lua/5.4/c.lua", "lib/a_test.lua", "liberty/d.lua",
    ]
    let tree = tree(
      Dictionary(uniqueKeysWithValues: files.map { ($0, "return { execute = function() end }") }))
    #expect(tree.modules == ["lib/a.lua", "lua_modules/share/lua/5.4/c.lua", "x/lib/b.lua"])
    #expect(tree.triggers.map(\.path) == ["liberty/d.lua"])
  }
}
