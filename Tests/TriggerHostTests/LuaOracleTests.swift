import TestSupport
import Testing
import TriggerCore

import TriggerHost

/// The oracle again, with Lua scripts: the whole way from the event through the sandbox, reads on snapshots
/// and prepared intents, against an interpreter of the same instructions that runs the logged seqs one by
/// one. Some scripts are slow, some fail, some wish for limits they do not get.
@Suite(.serialized) struct LuaOracleTests {
  private static let script = """
    local function number(value)
      if math.type(value) == "integer" then return value end
      return value ~= nil and #value or 7
    end

    return {
      on = { event = "work" },
      timeout = "20s",
      priority = "PRIORITY",
      execute = function(event, ctx)
        local digest = event.seed
        local function mix(value) digest = (digest * 31 + number(value)) % 1000003 end
        local whole = {}
        for _, read in ipairs(event.reads) do
          local store = ctx:store(read.store)
          if read.kind == "get" then
            mix(store:get(read.key))
          elseif read.kind == "scan" then
            for key, value in store:scan(read.key) do mix(key) mix(value) end
          elseif read.kind == "count" then
            mix(store:count(read.key))
          else
            local seq, data = store:read_snapshot()
            mix(seq)
            for key, value in pairs(data) do mix(key) mix(value) end
            whole[read.store] = { seq = seq, data = data }
          end
        end
        for _ = 1, event.spin do digest = (digest * 31 + 1) % 1000003 end
        if digest % 13 == 0 then error("digest " .. digest) end
        local intents = {}
        for _, write in ipairs(event.writes) do
          local store, intent = ctx:store(write.store), nil
          if write.kind == "put" then intent = store:put(write.key, digest)
          elseif write.kind == "delete" then intent = store:put(write.key, nil)
          elseif write.kind == "add" then intent = store:add(write.key, digest % 10)
          elseif write.kind == "max" then intent = store:max(write.key, digest)
          elseif write.kind == "fill" or write.kind == "clear" then
            local value = write.kind == "fill" and digest or nil
            for i = 1, 20 do intents[#intents + 1] = store:put(write.key .. "/" .. i, value) end
          elseif write.kind == "append" then intent = store:append("list/" .. write.key, digest)
          elseif whole[write.store] then
            local copy = {}
            for key, value in pairs(whole[write.store].data) do copy[key] = value end
            copy[write.key] = digest
            intent = store:prepare_commit(whole[write.store].seq, copy)
          end
          intents[#intents + 1] = intent
        end
        return intents
      end,
    }
    """

  @Test(arguments: 1...8, [3, 40, 4000])
  func parallelEqualsSerial(workers: Int, keys: Int) async throws {
    let seed = testSeed()
    var random = SplitMix64(seed: seed)
    var configuration = EngineConfiguration(workers: workers)
    if workers % 2 == 0 {
      configuration.grace = .microseconds(200)
      configuration.hold = .milliseconds(1)
    }
    configuration.commitsPerReclaim = 3
    let log = MemoryCommitLog()
    let coordinator = CommitCoordinator(configuration, log: log)
    let queue = TriggerQueue(coordinator)
    let tree = ScriptTree(
      files: Dictionary(
        uniqueKeysWithValues: Priority.allCases.map {
          ("\($0).lua", Array(Self.script.replacing("PRIORITY", with: "\($0)").utf8))
        }))
    #expect(tree.problems.isEmpty)
    queue.bind([], scripts: tree)
    queue.start()
    var checkpoints: [WalkedCheckpoint] = []
    for number in 0..<500 {
      // While those before it are running.
      if number % 50 == 25 { checkpoints.append(try WalkedCheckpoint(coordinator, partBytes: 300)) }
      let event = Event("work", work(keys: keys, &random), source: UInt64.random(in: 0..<20, using: &random))
      _ = try await queue.enqueue(event, toTrigger: "\(Priority.allCases.randomElement(using: &random)!)")
    }
    await queue.waitUntilIdle()
    await queue.stop()
    checkpoints = Array(checkpoints.shuffled(using: &random).prefix(4))
    var model = LuaModel()
    var states: [Int64: LuaModel] = [0: model]
    var difference: String?
    let records = log.all
    for record in records where difference == nil {
      difference = try model.run(record)
      if checkpoints.contains(where: { $0.through == record.seq }) { states[record.seq] = model }
    }
    #expect(difference == nil, "seed \(seed), \(workers) workers, \(keys) keys")
    guard difference == nil else { return }
    states[records.last!.seq] = model
    for checkpoint in checkpoints {
      for last in [checkpoint.through, records.last!.seq] {
        let restarted = try checkpoint.state(with: records, to: last)
        for name in ["a", "b"] {
          let (store, wanted) = (restarted[name], states[last]!.stores[name] ?? LuaModel.Store())
          #expect(
            store?.content ?? [:] == wanted.content && store?.seq ?? 0 == wanted.seq,
            "store \(name) at seq \(last), from \(checkpoint.since)..., seed \(seed)")
        }
      }
    }
    for name in coordinator.storeNames {
      let content = try coordinator.store(name).readSnapshot().value
      #expect(
        content == model.stores[name]?.content ?? [:], "store \(name), seed \(seed), \(workers) workers")
    }
  }

  private func work(keys: Int, _ random: inout SplitMix64) -> Value {
    func place(_ kind: String, prefix: Bool = false) -> Value {
      let key = "k\(Int.random(in: 0..<keys, using: &random))"
      let store = ["a", "b"].randomElement(using: &random)!
      return [
        "kind": .string(kind), "store": .string(store), "key": .string(prefix ? String(key.prefix(2)) : key),
      ]
    }
    let reads = (0..<Int.random(in: 0...3, using: &random)).map { _ in
      switch Int.random(in: 0..<12, using: &random) {
      case 0: place("scan", prefix: true)
      case 1: place("count", prefix: true)
      case 2: place("whole")
      default: place("get")
      }
    }
    let kinds = [
      "put", "put", "put", "delete", "add", "max", "append", "replace", "fill", "fill", "clear", "clear",
    ]
    let writes = (0..<Int.random(in: 0...3, using: &random)).map { _ in
      place(kinds.randomElement(using: &random)!)
    }
    let spin = Int.random(in: 0..<30, using: &random) == 0 ? 200_000 : 0
    return [
      "seed": .int(Int64.random(in: 0..<1_000_003, using: &random)), "spin": .int(Int64(spin)),
      "reads": .array(reads), "writes": .array(writes),
    ]
  }
}

/// Runs the same instructions on plain dictionaries.
private struct LuaModel {
  struct Store {
    var content: Value.Map = [:]
    var seq: Int64 = 0
  }
  var stores: [String: Store] = [:]

  /// How the record differs from what the operation gives alone, nil when it does not.
  mutating func run(_ record: LogRecord) throws -> String? {
    if record.outcome == .deferred { return nil }
    let event = try record.payload.withUnsafeBytes { try CanonicalEncoding.decode($0) }
    var digest = event["seed"]!.intValue!
    func mix(_ number: Int64) { digest = (digest * 31 + number) % 1_000_003 }
    func mix(_ value: Value?) { mix(Self.number(value)) }
    var whole: [String: Value.Map] = [:]
    for read in event["reads"]!.items {
      let (kind, name, key) = (read["kind"]!.text, read["store"]!.text, read["key"]!.text)
      let store = stores[name] ?? Store()
      let sorted = store.content.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      let found = sorted.filter { $0.key.hasPrefix(key) }
      switch kind {
      case "get": mix(store.content[key])
      case "scan":
        for item in found {
          mix(.string(item.key))
          mix(item.value)
        }
      case "count": mix(Int64(found.count))
      default:
        mix(store.seq)
        for item in sorted {
          mix(.string(item.key))
          mix(item.value)
        }
        whole[name] = store.content
      }
    }
    for _ in 0..<event["spin"]!.intValue! { digest = (digest * 31 + 1) % 1_000_003 }
    if digest % 13 == 0 {
      let isSame = record.outcome == .failed && record.error?.contains("digest \(digest)\n") == true
      return isSame
        ? nil : "seq \(record.seq) \(record.outcome) \(record.error ?? ""); alone it fails with \(digest)"
    }
    let changed = apply(event["writes"]!.items, digest, whole)
    for (name, content) in changed ?? [:] { stores[name] = Store(content: content, seq: record.seq) }
    let isSame = (changed != nil) == (record.outcome == .committed)
    return isSame
      ? nil : "seq \(record.seq) \(record.outcome) \(record.error ?? ""); alone: \(changed != nil)"
  }

  /// The stores that the writes touch, as they are afterwards; nil when one cannot apply.
  private func apply(
    _ writes: [Value], _ digest: Int64, _ whole: [String: Value.Map]
  ) -> [String: Value.Map]? {
    var changed: [String: Value.Map] = [:]
    for write in writes {
      let (kind, name, key) = (write["kind"]!.text, write["store"]!.text, write["key"]!.text)
      var content = changed[name] ?? stores[name]?.content ?? [:]
      switch kind {
      case "put": content[key] = .int(digest)
      case "delete": content[key] = nil
      case "fill": for number in 1...20 { content["\(key)/\(number)"] = .int(digest) }
      case "clear": for number in 1...20 { content["\(key)/\(number)"] = nil }
      case "add": content[key] = .int((content[key]?.intValue ?? 0) + digest % 10)
      case "max": content[key] = .int(max(content[key]?.intValue ?? .min, digest))
      case "append": content["list/\(key)"] = .array((content["list/\(key)"]?.items ?? []) + [.int(digest)])
      default:
        guard let read = whole[name] else { continue }
        content = read.merging([key: .int(digest)]) { $1 }
      }
      changed[name] = content
    }
    return changed
  }

  private static func number(_ value: Value?) -> Int64 {
    switch value {
    case .int(let number): number
    case .string(let text): Int64(text.utf8.count)
    case .array(let items): Int64(items.count)
    default: 7
    }
  }
}

extension Value {
  fileprivate subscript(field: String) -> Value? {
    if case .map(let fields) = self { fields[field] } else { nil }
  }
  fileprivate var items: [Value] { if case .array(let items) = self { items } else { [] } }
  fileprivate var text: String { if case .string(let text) = self { text } else { "" } }
}
