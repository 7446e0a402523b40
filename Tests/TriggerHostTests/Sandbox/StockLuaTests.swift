import Foundation
import TestSupport
import Testing
import TriggerCore
import TriggerHost

/// Our own versions of library functions against those of stock Lua 5.4, on random calls: the same results,
/// or an error in both. Needs the interpreter `lua5.4` (Debian: lua5.4).
@Suite struct StockLuaTests {
  private static let interpreter = "/usr/bin/lua5.4"

  /// Runs each case of `cases` and describes what came out, one line each. For both.
  private static let driver = #"""
    local function show(value, depth)
      if value ~= value then return "nan" end -- of its sign nobody may know
      if math.type(value) == "integer" then return string.format("%d", value) end
      if math.type(value) == "float" then return string.format("%.17g", value) end
      if type(value) == "string" then
        return '"' .. value:gsub("[^%w ]", function(c) return string.format("<%02x>", c:byte()) end) .. '"'
      end
      if type(value) == "table" and depth < 3 then
        local parts = {}
        for i = 1, #value do parts[i] = show(value[i], depth + 1) end
        return "{" .. table.concat(parts, ",") .. "}"
      end
      return type(value) == "boolean" and tostring(value) or type(value)
    end

    local function describe(case)
      local chunk = load("return " .. case)
      if not chunk then return "no chunk" end
      local results = table.pack(pcall(chunk))
      if not results[1] then return "error" end
      local parts = {}
      for i = 2, results.n do parts[#parts + 1] = show(results[i], 0) end
      return table.concat(parts, " ")
    end
    """#

  @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: interpreter)))
  func sameAsStock() async throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    let cases = (0..<6000).map { _ in LuaCase.random(&random) }
    let ours = try await runOurs(cases)
    let stock = try runStock(cases)
    #expect(ours.count == cases.count && stock.count == cases.count)
    var differences: [String] = []
    for (index, text) in cases.enumerated() where ours[index] != stock[index] {
      differences.append("\(text)\n    ours:  \(ours[index])\n    stock: \(stock[index])")
    }
    #expect(
      differences.isEmpty,
      "seed \(seed), \(differences.count) differ:\n\(differences.prefix(10).joined(separator: "\n"))")
    // Most calls are good ones: the comparison is not of errors alone.
    #expect(stock.count { $0 != "error" && $0 != "no chunk" } > cases.count / 2)
  }

  private func runOurs(_ cases: [String]) async throws -> [String] {
    let script = """
      \(Self.driver)
      return { on = { event = "run" }, timeout = "30s", execute = function(event, ctx)
        local lines = {}
        for i, case in ipairs(event.cases) do lines[i] = describe(case) end
        return { ctx:store("out"):put("lines", lines) }
      end }
      """
    let tree = ScriptTree(files: ["stock.lua": Array(script.utf8)])
    try #require(tree.problems.isEmpty, "\(tree.problems)")
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let queue = TriggerQueue(coordinator)
    queue.bind([], scripts: tree)
    queue.start()
    defer { queue.stop() }
    let result = try await queue.perform(Event("run", ["cases": .array(cases.map { .string($0) })]))[0]
    try #require(result.outcome == .committed, "\(result.error ?? "")")
    guard case .array(let lines)? = try coordinator.store("out").get("lines") else { return [] }
    return lines.map { if case .string(let text) = $0 { text } else { "\($0)" } }
  }

  private func runStock(_ cases: [String]) throws -> [String] {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("stock-\(UUID().uuidString).lua")
    defer { try? FileManager.default.removeItem(at: file) }
    let list = cases.map { "  [==[\($0)]==]," }.joined(separator: "\n")
    let text = "\(Self.driver)\nfor _, case in ipairs({\n\(list)\n}) do print(describe(case)) end\n"
    try Data(text.utf8).write(to: file)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Self.interpreter)
    process.arguments = [file.path]
    // Into a file: other tests start processes too, and one that had the end of a pipe would keep it open.
    let output = file.appendingPathExtension("out")
    defer { try? FileManager.default.removeItem(at: output) }
    try Data().write(to: output)
    process.standardOutput = try FileHandle(forWritingTo: output)
    try process.run()
    process.waitUntilExit()
    var lines = String(decoding: try Data(contentsOf: output), as: UTF8.self).components(separatedBy: "\n")
    lines.removeLast()
    return lines
  }
}

/// Random calls of library functions as Lua expressions.
private enum LuaCase {
  static func random(_ random: inout SplitMix64) -> String {
    switch Int.random(in: 0..<10, using: &random) {
    case 0, 1, 2: pattern(&random)
    case 3, 4: format(&random)
    case 5: text(&random)
    case 6, 7: table(&random)
    case 8: number(&random)
    default: conversion(&random)
    }
  }

  private static func quoted(_ text: String) -> String {
    "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\0", with: "\\0")
      + "\""
  }

  private static func subject(_ random: inout SplitMix64) -> String {
    let letters = Array("aabbcXY019 .,-(()[]%^$_\n")
    return String(
      (0..<Int.random(in: 0...12, using: &random)).map { _ in letters.randomElement(using: &random)! })
  }

  private static func patternText(_ random: inout SplitMix64) -> String {
    let pieces = [
      "a", "b", "X", "1", " ", ".", "%a", "%d", "%s", "%w", "%p", "%l", "%u", "%x", "%A", "%D", "%W", "[ab]",
      "[^a]",
      "[a-c]", "[%d%s]", "[]]", "[^]]", "[a-]", "%b()", "%f[%w]", "%f[%W]", "(", ")", "()", "(a)", "(.)",
      "(%w+)", "%1",
      "%2", "%%", "%.", "$", "^", "%", "[", "-", "*",
    ]
    let suffixes = ["", "", "", "*", "+", "-", "?"]
    var text = Int.random(in: 0..<6, using: &random) == 0 ? "^" : ""
    for _ in 0..<Int.random(in: 0...5, using: &random) {
      text += pieces.randomElement(using: &random)! + suffixes.randomElement(using: &random)!
    }
    return text + (Int.random(in: 0..<8, using: &random) == 0 ? "$" : "")
  }

  private static func pattern(_ random: inout SplitMix64) -> String {
    let (s, p) = (quoted(subject(&random)), quoted(patternText(&random)))
    let place = Int.random(in: -4...14, using: &random)
    let replacements = [
      "\"<%0>\"", "\"%1\"", "\"%2\"", "\"x\"", "\"%%\"", "\"%\"", "{ a = \"A\", b = false, X = 5 }",
      "function(a, b) return b end", "function(a) if a == \"a\" then return nil end return #tostring(a) end",
      "string.upper",
      "function() return {} end",
    ]
    switch Int.random(in: 0..<6, using: &random) {
    case 0: return "string.find(\(s), \(p))"
    case 1: return "string.find(\(s), \(p), \(place), \(Bool.random(using: &random)))"
    case 2: return "string.match(\(s), \(p), \(place))"
    case 3:
      return
        "(function() local t = {} for a, b in string.gmatch(\(s), \(p)) do t[#t + 1] = { a, b } if #t > 40 then break end end return t end)()"
    case 4: return "string.gsub(\(s), \(p), \(replacements.randomElement(using: &random)!))"
    default:
      return
        "string.gsub(\(s), \(p), \(replacements.randomElement(using: &random)!), \(Int.random(in: -1...3, using: &random)))"
    }
  }

  private static func value(_ random: inout SplitMix64) -> String {
    let values = [
      "0", "1", "-1", "7", "255", "-128", "65", "1e15", "0.5", "-2.25", "3.0", "1/0", "-1/0",
      "math.maxinteger",
      "math.mininteger", "\"10\"", "\"0x10\"", "\"x\"", "\"\"", "\" 5 \"", "\"a\\0b\"", "\"line\\nbreak\\r\"",
      "nil", "true", "false",
      "1e100", "123456789012", "-0.0", "2^53", "\"\\200\\255\"",
    ]
    return values.randomElement(using: &random)!
  }

  private static func format(_ random: inout SplitMix64) -> String {
    let flags = [
      "", "", "", "-", "+", " ", "0", "#", "-+", "05", "10", "-10", "3", ".3", "10.4", "+.2", "099", "100",
      ".100", "# ",
    ]
    let kinds = Array("dixXoucsqaAeEfgG%pz")
    var (specs, values) = ("", "")
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let kind = kinds.randomElement(using: &random)!
      // %p shows addresses, which ours does not.
      if kind == "p" { continue }
      specs += "|%" + flags.randomElement(using: &random)! + String(kind)
      if kind != "%" { values += ", " + value(&random) }
    }
    return "string.format(\(quoted(specs))\(values))"
  }

  private static func text(_ random: inout SplitMix64) -> String {
    let s = quoted(subject(&random))
    let (i, j) = (Int.random(in: -14...14, using: &random), Int.random(in: -14...14, using: &random))
    return [
      "string.sub(\(s), \(i), \(j))", "string.sub(\(s), \(i))", "string.byte(\(s), \(i), \(j))",
      "string.reverse(\(s))",
      "string.upper(\(s))", "string.lower(\(s))", "string.len(\(s))", "string.rep(\(s), \(i), \(s))",
      "string.rep(\(s), \(i))",
      "string.char(\(abs(i) * 20), \(abs(j) * 10))", "#\(s) .. \(s)", "\(s) < \(quoted(subject(&random)))",
      "utf8.len(\(s), \(i), \(j))", "utf8.codepoint(\(s), \(i), \(j))",
      "utf8.char(\(abs(i) * 90), \(abs(j) * 9000))",
      "string.rep(\(value(&random)), 3)", "string.sub(\(value(&random)), 1, 2)",
    ].randomElement(using: &random)!
  }

  private static func array(_ random: inout SplitMix64) -> String {
    let values = (0..<Int.random(in: 0...8, using: &random)).map { _ in
      String(Int.random(in: -9...9, using: &random))
    }
    return "{ \(values.joined(separator: ", ")) }"
  }

  private static func table(_ random: inout SplitMix64) -> String {
    let t = array(&random)
    let (i, j, k) = (
      Int.random(in: -2...10, using: &random), Int.random(in: -2...10, using: &random),
      Int.random(in: 1...10, using: &random)
    )
    func after(_ call: String) -> String { "(function(t) return { \(call) }, t end)(\(t))" }
    return [
      "table.concat(\(t), \", \")", "table.concat(\(t), \"-\", \(i), \(j))", "table.unpack(\(t), \(i), \(j))",
      after("table.insert(t, 42)"), after("table.insert(t, \(i), 42)"), after("table.remove(t)"),
      after("table.remove(t, \(i))"),
      after("table.move(t, \(i), \(j), \(k))"), "table.move(\(t), \(i), \(j), \(k), \(array(&random)))",
      "table.pack(\(value(&random)), \(value(&random))).n",
      "(function(t) table.sort(t) return t end)(\(t))",
      "(function(t) table.sort(t, function(a, b) return a > b end) return t end)(\(t))",
      "(function(t) table.sort(t, function(a, b) return a % 5 < b % 5 or (a % 5 == b % 5 and a < b) end) return t end)(\(t))",
      "table.concat({ 1, 2.5, \"x\", {} })", "table.insert(\(t), 1, 2, 3)", "select(\(i), 1, 2, 3)",
      "select('#', table.unpack(\(t)))",
      "next({})", "rawlen(\(t))", "#\(t)", "ipairs(\(t))",
    ].randomElement(using: &random)!
  }

  private static func number(_ random: inout SplitMix64) -> String {
    let (a, b) = (value(&random), value(&random))
    return [
      "math.floor(\(a))", "math.ceil(\(a))", "math.abs(\(a))", "math.fmod(\(a), \(b))", "math.modf(\(a))",
      "math.tointeger(\(a))",
      "math.type(\(a))", "math.max(\(a), \(b))", "math.min(\(a), \(b))", "math.ult(\(a), \(b))",
      "math.sqrt(\(a))", "math.exp(\(a))",
      "math.log(\(a), 2)", "\(a) // \(b)", "\(a) % \(b)", "\(a) + \(b)", "\(a) * \(b)", "\(a) == \(b)",
      "\(a) < \(b)", "\(a) | \(b)",
      "\(a) .. \(b)", "-\(a)", "math.random(0) ~= nil", "math.random(5, 1)",
    ].randomElement(using: &random)!
  }

  private static func conversion(_ random: inout SplitMix64) -> String {
    let a = value(&random)
    return [
      "tostring(\(a))", "tonumber(\(a))", "tonumber(\(a), \(Int.random(in: 1...37, using: &random)))",
      "tonumber(\(quoted(subject(&random))))", "type(\(a))", "rawequal(\(a), \(value(&random)))", "not \(a)",
      "pcall(error, \(a))", "select(2, pcall(error, \(a), 0))", "assert(\(a), \"m\")",
      "load(\(quoted(subject(&random)))) == nil",
      "os.time({ year = \(Int.random(in: 1970...2100, using: &random)), month = \(Int.random(in: -5...20, using: &random)), day = \(Int.random(in: -40...60, using: &random)), hour = 5 }) - os.time({ year = 2000, month = 1, day = 1, hour = 0 })",
      "os.date(\"!%Y-%m-%d %H:%M:%S %j %a %b %p\", \(Int.random(in: 0...4_000_000_000, using: &random)))",
      "os.date(\"!*t\", \(Int.random(in: 0...4_000_000_000, using: &random))).yday",
    ].randomElement(using: &random)!
  }
}
