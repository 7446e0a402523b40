import TriggerCore
import TriggerHost

/// The triggers of all simulations: one body, which does what its event says, under many options.
enum Scripts {
  /// A variant of the script tree: what it mixes into every digest, and which triggers it lacks.
  struct Variant {
    var salt: Int64
    var missing: Set<String>
  }

  static let variants = [
    Variant(salt: 1, missing: []), Variant(salt: 2, missing: ["fan-b", "parallel"]),
    Variant(salt: 3, missing: []),
  ]

  struct Trigger {
    var name: String
    /// The event it is bound to; nil: to commits.
    var event: String?
    var commits: String?
    var options: String
    /// Events with an equal value of `key` keep their order; without, those of one source do.
    var isOrderedByKey: Bool { options.contains("order_by") }
    /// Newer events may take the place of older ones before they have a seq, or make them go away.
    var mayAbsorb: Bool {
      ["coalesce", "mode", "debounce", "throttle"].contains { options.contains($0) }
    }
    var priority: Priority {
      Priority.allCases.first { options.contains("priority = \"\($0)\"") } ?? .normal
    }
    var isMerging: Bool { options.contains("coalesce") }
    /// Later operations of its order key wait until one that failed has been tried for the last time.
    var keepsOrder: Bool { options.contains("retry") && !options.contains("free") }
    var mayCancel: Bool { options.contains("restart") }
  }

  /// In the order of their names.
  static let triggers = [
    Trigger(name: "audit", commits: "b/k*", options: #"priority = "low""#),
    Trigger(name: "critical", event: "critical", options: #"priority = "critical""#),
    Trigger(name: "debounced", event: "debounced", options: #"debounce = "20ms""#),
    Trigger(name: "echo", event: "echo", options: ""),
    Trigger(name: "fan-a", event: "fan", options: ""),
    Trigger(name: "fan-b", event: "fan", options: #"priority = "low""#),
    Trigger(name: "high", event: "high", options: #"priority = "high""#),
    Trigger(name: "low", event: "low", options: #"priority = "low""#),
    Trigger(name: "merged", event: "merged", options: #"coalesce = "key""#),
    Trigger(name: "normal", event: "normal", options: ""),
    Trigger(name: "ordered", event: "ordered", options: #"order_by = "key""#),
    Trigger(name: "parallel", event: "parallel", options: #"mode = "parallel", max_instances = 2"#),
    Trigger(name: "queued", event: "queued", options: #"mode = "queued", order_by = "key""#),
    Trigger(name: "restart", event: "restart", options: #"mode = "restart""#),
    Trigger(
      name: "retried", event: "retried",
      options: #"retry = { attempts = 3, backoff = "20ms", longest = "1s" }"#),
    Trigger(
      name: "retried-by-key", event: "retried-by-key",
      options: #"order_by = "key", retry = { attempts = 4, backoff = "5ms", longest = "30ms" }"#),
    Trigger(
      name: "retried-debounced", event: "retried-debounced",
      options: #"debounce = "10ms", order_by = "key", retry = { attempts = 3, backoff = "20ms" }"#),
    Trigger(
      name: "retried-free", event: "retried-free",
      options:
        #"order_by = "key", retry = { attempts = 3, backoff = "20ms", order = "free" }, coalesce = "key""#),
    Trigger(
      name: "retried-merged", event: "retried-merged",
      options: #"order_by = "key", coalesce = "key", retry = { attempts = 3, backoff = "20ms" }"#),
    Trigger(
      name: "retried-queued", event: "retried-queued",
      options: #"mode = "queued", order_by = "key", retry = { attempts = 3, backoff = "20ms" }"#),
    Trigger(
      name: "retried-restart", event: "retried-restart",
      options: #"mode = "restart", retry = { attempts = 3, backoff = "1s" }"#),
    Trigger(
      name: "retried-single", event: "retried-single",
      options: #"mode = "single", retry = { attempts = 3, backoff = "20ms" }, priority = "low""#),
    Trigger(name: "single", event: "single", options: #"mode = "single", priority = "high""#),
    Trigger(name: "throttled", event: "throttled", options: #"throttle = "50ms", order_by = "key""#),
    Trigger(name: "timer", event: "tick", options: #"priority = "high""#),
    Trigger(name: "watch", commits: "a/*", options: ""),
  ]

  /// Under this name reloads stand in the log.
  static let reload = ReservedTrigger.scripts

  static let byName = Dictionary(uniqueKeysWithValues: triggers.map { ($0.name, $0) })
  static let events = Set(triggers.compactMap(\.event)).subtracting(["tick"]).sorted()

  /// The triggers of a variant that an event of the name reaches.
  static func route(_ event: String, _ variant: Int) -> [String] {
    triggers.filter { $0.event == event && !variants[variant].missing.contains($0.name) }.map(\.name)
  }

  static let trees: [ScriptTree] = variants.map { variant in
    var files = [
      "lib/salt.lua": "return { salt = \(variant.salt) }", "lib/work.lua": work, "lib/watch.lua": watch,
    ]
    for trigger in triggers where !variant.missing.contains(trigger.name) {
      let binding = trigger.event.map { "event = \"\($0)\"" } ?? "commit = \"\(trigger.commits!)\""
      let body = trigger.event == nil ? "watch" : "work"
      let options = trigger.options.isEmpty ? "" : "\(trigger.options), "
      files["\(trigger.name).lua"] = """
        return { on = { \(binding) }, \(options)timeout = "20s", execute = require "lib.\(body)" }
        """
    }
    let tree = ScriptTree(files: files.mapValues { Array($0.utf8) })
    precondition(tree.problems.isEmpty, "scripts of the simulation: \(tree.problems)")
    return tree
  }

  /// What it reads goes into a digest, and the digest into what it writes, so that a wrong read is a wrong write.
  private static let work = """
    local salt = require("lib.salt").salt

    local function number(value)
      if math.type(value) == "integer" then return value end
      return value ~= nil and #value or 7
    end

    return function(event, ctx)
      local digest = (event.seed + salt) % 1000003
      local function mix(value) digest = (digest * 31 + number(value)) % 1000003 end
      mix(ctx.seq)
      mix(os.time())
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
      if digest % 17 == 0 or event.brittle and digest % 2 == 0 then error("digest " .. digest) end
      local intents = {}
      for _, write in ipairs(event.writes) do
        local store, intent = ctx:store(write.store), nil
        if write.kind == "put" then intent = store:put(write.key, digest)
        elseif write.kind == "delete" then intent = store:put(write.key, nil)
        elseif write.kind == "add" then intent = store:add(write.key, digest % 10)
        elseif write.kind == "max" then intent = store:max(write.key, digest)
        elseif write.kind == "min" then intent = store:min(write.key, digest)
        elseif write.kind == "append" then intent = store:append(write.key, digest % 10)
        elseif whole[write.store] then
          local copy = {}
          for key, value in pairs(whole[write.store].data) do copy[key] = value end
          copy[write.key] = digest
          intent = store:prepare_commit(whole[write.store].seq, copy)
        end
        intents[#intents + 1] = intent
      end
      if event.n then intents[#intents + 1] = ctx:store("results"):put("r" .. event.n % 30, "result " .. digest % 7) end
      if digest % 3 == 0 then intents[#intents + 1] = ctx:send("s" .. digest % 5, { type = "sum", sum = digest }) end
      if digest % 7 == 0 then intents[#intents + 1] = ctx:broadcast("sums", { sum = digest, by = ctx.trigger }) end
      for _, emit in ipairs(event.emits or {}) do
        intents[#intents + 1] = ctx:emit(emit.event, {
          n = emit.n, by = (event.by or "") .. "/" .. ctx.trigger, seed = digest, key = emit.key,
          reads = emit.reads, writes = emit.writes, emits = emit.emits, brittle = emit.brittle,
        })
      end
      if event.loops then
        intents[#intents + 1] = ctx:emit("echo", {
          n = event.n, by = (event.by or "") .. "/" .. ctx.trigger, seed = digest, key = event.key,
          reads = event.reads, writes = event.writes, brittle = event.brittle, loops = true,
        })
      end
      return intents
    end
    """

  private static let watch = """
    return function(event, ctx)
      local store = ctx:store("watch")
      return { store:add("keys", #event.keys), store:put("last/" .. event.trigger, event.seq) }
    end
    """
}
