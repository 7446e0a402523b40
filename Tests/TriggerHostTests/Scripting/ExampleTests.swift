import Synchronization
import Testing
import TriggerCore
import TriggerHost
import TriggerWorkshop
import TriggerTestKit

/// Every example of the reference runs and gives what the page shows.
@Suite struct ExampleTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var example: LuaAPI.Example
    var testDescription: String { name }
  }

  static let all: [Case] = {
    var cases: [Case] = []
    for item in [LuaAPI.context, LuaAPI.store] {
      for field in item.fields {
        cases.append(Case(name: "\(item.variable).\(field.name)", example: field.example!))
      }
      for method in item.methods {
        cases.append(Case(name: "\(item.variable):\(method.name)", example: method.example!))
      }
    }
    for constant in LuaAPI.constants { cases.append(Case(name: constant.name, example: constant.example!)) }
    for function in LuaAPI.functions { cases.append(Case(name: function.name, example: function.example!)) }
    for library in LuaAPI.libraries {
      for constant in library.constants {
        cases.append(Case(name: "\(library.name).\(constant.name)", example: constant.example!))
      }
      for function in library.functions {
        cases.append(Case(name: "\(library.name).\(function.name)", example: function.example!))
      }
    }
    return cases
  }()

  @Test(arguments: all) func gives(_ test: Case) async throws {
    let script = Script(test.example)
    let run = try await script.run()
    #expect(run.error == nil)
    #expect(run.shown == script.expected)
    #expect(!script.expected.isEmpty, "an example shows something")
  }

  @Test func aWrongExampleIsNoticed() async throws {
    for code in ["1 + 1  --> 3", "return {}  --> s/k = 1", "print(1)  --> logs info: 2"] {
      let script = Script(LuaAPI.Example(code))
      #expect(try await script.run().shown != script.expected, "\(code)")
    }
  }

  /// An example as a trigger: shown expressions are logged, changes and log lines are looked up.
  private struct Script {
    private let stores: String
    private let event: String
    private var body: [String] = []
    private(set) var expected: [String] = []

    init(_ example: LuaAPI.Example) {
      stores = example.stores
      event = example.event
      for line in example.code.split(separator: "\n", omittingEmptySubsequences: false) {
        let parts = line.split(separator: "-->", maxSplits: 1)
        guard parts.count == 2 else {
          body.append(String(line))
          continue
        }
        expected.append(String(parts[1].drop { $0 == " " }))
        let code = parts[0]
        let isStatement = code.hasPrefix("return") || expected.last!.hasPrefix("logs ")
        body.append(isStatement ? String(code) : "SHOW(function() return \(code) end)")
      }
    }

    func run() async throws -> (shown: [String], error: String?) {
      let source = """
        local show = require "lib.show"
        local function SHOW(f, ...)
          local results = table.pack(pcall(f))
          if not results[1] then return print("\u{1}error: " .. results[2]) end
          for i = 2, results.n do results[i] = show(results[i]) end
          print("\u{1}" .. table.concat(results, ", ", 2, results.n))
        end
        return { name = "example", on = { event = "page/visit" }, execute = function(event, ctx)
        \(body.joined(separator: "\n"))
        end }
        """
      let lib = ["lib/show.lua": String(decoding: LuaSources.show, as: UTF8.self), "example.lua": source]
      let host = try TestHost(
        scripts: lib, stores: try await stores(of: "{ \(stores) }"),
        configuration: EngineConfiguration(workers: 1))
      defer { host.stop() }
      let before = try host.content()
      let logs = Mutex<[String]>([])
      host.queue.observe { _, lines in
        logs.withLock {
          $0 += lines.map {
            $0.message.hasPrefix("\u{1}")
              ? String($0.message.dropFirst())
              : "logs \($0.level): \($0.message)\($0.fields.flatMap { try? JSON.text($0) }.map { " \($0)" } ?? "")"
          }
        }
      }
      let result = try await host.send(Event("page/visit"))[0]
      var shown = logs.withLock { $0 }
      let changes = try changes(host, before) + emitted(host) + sent(host)
      if !changes.isEmpty { shown.append(changes.joined(separator: "; ")) }
      return (shown, result.error)
    }

    private func changes(_ host: TestHost, _ before: Value.Map) throws -> [String] {
      let after = try host.content()
      return Set(before.keys).union(after.keys).sorted().filter { before[$0] != after[$0] }
        .map { "\($0) = \(after[$0].map(LuaText.text) ?? "nil")" }
    }

    private func emitted(_ host: TestHost) -> [String] {
      host.log.all.flatMap(\.emissions).map { event in
        let payload = try? event.payload.withUnsafeBytes { try CanonicalEncoding.decode($0) }
        return "emits \(event.name) \(LuaText.text(payload ?? .null))"
      }
    }

    private func sent(_ host: TestHost) -> [String] {
      host.log.all.flatMap(\.intents).compactMap { intent in
        guard let effect = intent.action.effect else { return nil }
        let message = try? intent.value.withUnsafeBytes { try CanonicalEncoding.decode($0) }
        let target = String(decoding: intent.key, as: UTF8.self)
        return
          "\(effect == .send ? "sends to" : "broadcasts on") \(target) \(LuaText.text(message ?? .null))"
      }
    }

    /// A Lua table as stores: emitted once, and looked at.
    private func stores(of text: String) async throws -> [String: Value.Map] {
      let host = try TestHost(
        scripts: [
          "s.lua":
            "return { on = { event = 's' }, execute = function(_, ctx) return ctx:emit('it', \(text)) end }"
        ],
        configuration: EngineConfiguration(workers: 1))
      defer { host.stop() }
      try await host.send(Event("s"))
      let payload = host.log.all[0].emissions[0].payload
      guard case .map(let stores) = try payload.withUnsafeBytes({ try CanonicalEncoding.decode($0) }) else {
        return [:]
      }
      return Dictionary(
        uniqueKeysWithValues: stores.compactMap { name, content in content.mapValue.map { (name, $0) } })
    }
  }
}

extension TestHost {
  /// `store/key` to value.
  fileprivate func content() throws -> Value.Map {
    var all: Value.Map = [:]
    for name in coordinator.storeNames {
      for item in try coordinator.store(name).scan() { all["\(name)/\(item.key)"] = item.value }
    }
    return all
  }
}

/// A value as Lua text.
private enum LuaText {
  static func text(_ value: Value) -> String {
    switch value {
    case .null: "null"
    case .array(let list): list.isEmpty ? "[]" : "{ " + list.map(text).joined(separator: ", ") + " }"
    case .map(let map):
      map.isEmpty
        ? "{}"
        : "{ "
          + map.sorted { $0.key < $1.key }.map { "\($0.key) = \(text($0.value))" }.joined(separator: ", ")
          + " }"
    default: "\(value)"
    }
  }
}
