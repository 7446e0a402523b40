import TriggerCore

/// The table that a script returns, read field by field into what the engine wants to know.
struct ScriptTable {
  private typealias Problem = ScriptTree.Problem

  private let path: String
  private let source: [UInt8]
  private let fields: [String: Value]
  private var name: String
  private var options = TriggerOptions()
  private var schedules: [ScheduledJob] = []

  init(path: String, source: [UInt8], _ fields: [String: Value]) {
    self.path = path
    self.source = source
    self.fields = fields
    name = String(path.dropLast(4))
    if name.hasPrefix("triggers/") { name = String(name.dropFirst(9)) }
  }

  /// - Parameter defaults: options for what the table leaves out.
  /// - Throws: `ScriptTree.Problem` for the first field that is wrong.
  func script(_ defaults: TriggerOptions) throws(ScriptTree.Problem) -> ScriptTree.Script {
    var table = self
    table.options = defaults
    // The name first: the schedules' names have it in them.
    if case .string(let text)? = fields["name"] { table.name = text }
    for (field, value) in fields.sorted(by: { $0.key < $1.key }) { try table.read(field, value) }
    if table.options.maxInstances != nil, table.options.mode == nil { table.options.mode = .single }
    return ScriptTree.Script(
      name: table.name, path: path, options: table.options, schedules: table.schedules)
  }

  private mutating func read(_ field: String, _ value: Value) throws(ScriptTree.Problem) {
    switch field {
    case "execute": break
    case "name":
      let name = try text(field, value)
      guard (1...128).contains(name.utf8.count),
        name.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
      else { throw problem(field, "must have 1 to 128 bytes and no control characters, got \(value)") }
    case "on": try readBindings(value)
    case "priority":
      options.priority = try choice(field, value, Priority.allCases.map { ($0.description, $0) })
    case "mode": options.mode = try choice(field, value, OverlapMode.allCases.map { ($0.rawValue, $0) })
    case "timeout": options.timeout = try span(field, value)
    case "debounce": options.debounce = try span(field, value)
    case "throttle": options.throttle = try span(field, value)
    case "memory":
      do { options.memory = try ByteSize(parsing: try text(field, value)).bytes } catch let error
        as ValueError
      {
        throw problem(field, error.message)
      } catch { throw problem(field, "\(error)") }
    case "max_instances":
      guard case .int(let count) = value, (1...1000).contains(count) else {
        throw problem(field, "must be a whole number from 1 to 1000, got \(value)")
      }
      options.maxInstances = Int(count)
    case "retry": options.retry = try retry(value)
    case "order_by": options.orderBy = try text(field, value).split(separator: ".").map(String.init)
    case "coalesce":
      switch value {
      case .bool(let all): options.coalesce = all ? [] : nil
      case .string(let text): options.coalesce = text.split(separator: ".").map(String.init)
      default: throw problem(field, "must be true or the name of a field of the event, got \(value)")
      }
    default:
      throw problem(
        field,
        "unknown field '\(field)'" + Suggestion.clause(for: field, among: LuaAPI.triggerFields.map(\.name)),
        bare: true)
    }
  }

  /// `retry = 3`, or `retry = { attempts = 5, backoff = "1s", longest = "5m" }`.
  private func retry(_ value: Value) throws(ScriptTree.Problem) -> RetryPolicy {
    var policy = RetryPolicy()
    let (fields, isBare): ([String: Value], Bool)
    switch value {
    case .int: (fields, isBare) = (["attempts": value], true)
    case .map(let given): (fields, isBare) = (given, false)
    default:
      throw problem("retry", "must be a number of tries or a table like { attempts = 3 }, got \(value)")
    }
    for (name, value) in fields.sorted(by: { $0.key < $1.key }) {
      switch name {
      case "attempts":
        guard case .int(let count) = value, (1...100).contains(count) else {
          throw problem(
            isBare ? "retry" : "retry.attempts", "must be a whole number from 1 to 100, got \(value)")
        }
        policy.attempts = Int(count)
      case "backoff": policy.backoff = try span("retry.backoff", value)
      case "longest": policy.longest = try span("retry.longest", value)
      default:
        let known = ["attempts", "backoff", "longest"]
        throw problem("retry", "has no '\(name)'" + Suggestion.clause(for: name, among: known))
      }
    }
    return policy
  }

  // MARK: Bindings

  private mutating func readBindings(_ value: Value) throws(ScriptTree.Problem) {
    guard case .map(let bindings) = value else {
      throw problem("on", "must be a table like { data = \"bars/*\" }, got \(value)")
    }
    for (kindName, value) in bindings.sorted(by: { $0.key < $1.key }) {
      guard let kind = EventKind(rawValue: kindName) else {
        let known = EventKind.allCases.map(\.rawValue)
        throw problem("on", "has no '\(kindName)'" + Suggestion.clause(for: kindName, among: known))
      }
      let items: [Value]
      if case .array(let list) = value { items = list } else { items = [value] }
      for item in items { try bind(kind, item) }
    }
  }

  private mutating func bind(_ kind: EventKind, _ item: Value) throws(ScriptTree.Problem) {
    if kind == .start {
      guard item == .bool(true) else { throw problem("on.start", "must be true, got \(item)") }
      return addSchedule(kind, "", .start)
    }
    guard case .string(let text) = item, !text.isEmpty else {
      throw problem("on.\(kind)", "must be a string or a list of strings, got \(item)")
    }
    do {
      switch kind {
      case .cron: addSchedule(kind, text, try ScheduledJob.Rule(cron: text))
      case .at: addSchedule(kind, text, .at(try Timestamp(parsing: text)))
      case .every: addSchedule(kind, text, .every(try span("on.every", item)))
      default: options.on.append(EventPattern(kind, text))
      }
    } catch let error as ScriptTree.Problem { throw error } catch {
      throw problem("on.\(kind)", "'\(text)': \(error)")
    }
  }

  private mutating func addSchedule(_ kind: EventKind, _ text: String, _ rule: ScheduledJob.Rule) {
    let words = [name, "on.\(kind)", text].filter { !$0.isEmpty }
    schedules.append(
      ScheduledJob(name: words.joined(separator: " "), rule: rule, action: .trigger(name)))
  }

  // MARK: Single values

  private func text(_ field: String, _ value: Value) throws(ScriptTree.Problem) -> String {
    guard case .string(let text) = value else { throw problem(field, "must be a string, got \(value)") }
    return text
  }

  private func span(_ field: String, _ value: Value) throws(ScriptTree.Problem) -> Duration {
    let text = try text(field, value)
    guard let span = try? TimeSpan.parse(text), span > .zero else {
      throw problem(
        field, "must be a time span above zero like \"250ms\", \"2s\", \"5m\" or \"1h\", got \"\(text)\"")
    }
    return span
  }

  private func choice<Choice>(
    _ field: String, _ value: Value, _ choices: [(name: String, choice: Choice)]
  ) throws(ScriptTree.Problem) -> Choice {
    let text = try text(field, value)
    if let found = choices.first(where: { $0.name == text }) { return found.choice }
    let names = choices.map(\.name)
    throw problem(
      field,
      "is one of \(names.joined(separator: ", ")), got \"\(text)\""
        + Suggestion.clause(for: text, among: names))
  }

  private func problem(_ field: String, _ message: String, bare: Bool = false) -> ScriptTree.Problem {
    let key = field.split(separator: ".").last.map(String.init) ?? field
    let line = sourceLine(of: key, in: source)
    return ScriptTree.Problem(
      severity: .error, description: "\(path):\(line): " + (bare ? message : "\(field) \(message)"))
  }
}

/// The first line that sets `key = `, 1 when none does: a script's table comes without lines.
func sourceLine(of key: String, in source: [UInt8]) -> Int {
  let lines = source.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
  for (index, line) in lines.enumerated() {
    let words = String(decoding: line, as: UTF8.self)
      .split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "=") }
    for (word, next) in zip(words, words.dropFirst())
    where word == key && next.first == "=" && !next.hasPrefix("==") {
      return index + 1
    }
  }
  return 1
}
