import TriggerCore

/// The table that a script returns, read field by field into what the engine wants to know.
struct ScriptTable {
  /// One thing that is wrong in the table.
  struct Mistake: Error {
    /// By the way there, as `ScriptTableLines` has it.
    var path: [String]
    var message: String
  }

  /// Bindings of one trigger: every event is compared with those of all.
  static let mostPatterns = 100

  /// The trigger, so far as the table says it right.
  private(set) var script: ScriptTree.Script
  private var mistakes: [Mistake] = []

  /// Reads all fields, the wrong ones too.
  ///
  /// - Parameters:
  ///   - fields: as `LuaWorker.spec` gives them.
  ///   - defaults: options for what the table leaves out.
  init(path: String, _ fields: Value.Map, defaults: TriggerOptions) {
    let stem = String(path.dropLast(4))
    script = ScriptTree.Script(
      name: stem.hasPrefix("triggers/") ? String(stem.dropFirst(9)) : stem, path: path, options: defaults,
      schedules: [])
    // The name first: the schedules' names have it in them.
    if case .string(let text)? = fields["name"] { script.name = text }
    for (field, value) in fields.sorted(by: { $0.key < $1.key }) {
      do throws(Mistake) { try read(field, value) } catch { mistakes.append(error) }
    }
    if options.maxInstances != nil, options.mode == nil { options.mode = .single }
    if let ceilings = defaults.ceilings { mistakes += excesses(fields, ceilings) }
  }

  /// What the table asks for beyond what the host allows.
  private func excesses(_ fields: Value.Map, _ most: TriggerOptions.Ceilings) -> [Mistake] {
    func excess(_ field: String, _ isMore: Bool, _ wanted: String, _ allowed: String) -> Mistake? {
      guard isMore, fields[field] != nil else { return nil }
      return Mistake(
        path: [field], message: "\(field): \(wanted) is more than limits.max_\(field) allows (\(allowed))")
    }
    return [
      excess(
        "timeout", options.timeout > most.timeout, TimeSpan.format(options.timeout),
        TimeSpan.format(most.timeout)),
      excess(
        "memory", options.memory > most.memory, "\(ByteSize(bytes: options.memory))",
        "\(ByteSize(bytes: most.memory))"),
      excess(
        "priority", options.priority > most.priority, "\(options.priority)", "\(most.priority)"),
    ].compactMap { $0 }
  }

  /// What is wrong, in the order of the lines.
  ///
  /// - Parameter source: the text of the script.
  func problems(in source: [UInt8]) -> [ScriptTree.Problem] {
    if mistakes.isEmpty { return [] }
    let lines = ScriptTableLines(source)
    let placed = mistakes.enumerated().map {
      ($0.offset, lines.line(of: $0.element.path), $0.element.message)
    }
    return placed.sorted { ($0.1, $0.0) < ($1.1, $1.0) }.map { _, line, message in
      ScriptTree.Problem(severity: .error, description: "\(script.path):\(line): \(message)")
    }
  }

  private var options: TriggerOptions {
    get { script.options }
    set { script.options = newValue }
  }

  private mutating func read(_ field: String, _ value: Value) throws(Mistake) {
    switch field {
    case "execute": throw noExecute(value)
    case "name":
      let name = try text([field], value)
      guard (1...128).contains(name.utf8.count),
        name.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
      else { throw mistake([field], "must have 1 to 128 bytes and no control characters, \(got(value))") }
    case "on": try readBindings(value)
    case "priority":
      options.priority = try choice(field, value, Priority.allCases.map { ($0.description, $0) })
    case "mode": options.mode = try choice(field, value, OverlapMode.allCases.map { ($0.rawValue, $0) })
    case "timeout": options.timeout = try span([field], value)
    case "debounce": options.debounce = try span([field], value)
    case "throttle": options.throttle = try span([field], value)
    case "memory":
      let text = try text([field], value)
      do { options.memory = try ByteSize(parsing: text).bytes } catch {
        throw Mistake(path: [field], message: "memory: \(error.message)")
      }
    case "max_instances": options.maxInstances = try count([field], value, 1...1000)
    case "retry": try readRetry(value)
    case "order_by": options.orderBy = try text([field], value).split(separator: ".").map(String.init)
    case "coalesce":
      switch value {
      case .bool(let all): options.coalesce = all ? [] : nil
      case .string(let text): options.coalesce = text.split(separator: ".").map(String.init)
      default: throw mistake([field], "must be true or the name of a field of the event, \(got(value))")
      }
    default:
      let hint = Suggestion.clause(for: field, among: LuaAPI.triggerFields.map(\.name))
      throw Mistake(path: [field], message: "unknown field '\(field)'" + hint)
    }
  }

  /// - Parameter type: what Lua calls the type of what is there.
  private func noExecute(_ type: Value) -> Mistake {
    if type == "nil" { return Mistake(path: [], message: "no execute function") }
    guard case .string(let type) = type else { preconditionFailure("execute is \(type)") }
    return mistake(["execute"], "must be a function, got a \(type)")
  }

  /// `retry = 3`, or `retry = { attempts = 5, backoff = "1s", longest = "5m" }`.
  private mutating func readRetry(_ value: Value) throws(Mistake) {
    var policy = RetryPolicy()
    switch value {
    case .int: policy.attempts = try count(["retry"], value, 1...100)
    case .map(let fields):
      for (name, value) in fields.sorted(by: { $0.key < $1.key }) {
        do throws(Mistake) { try read(name, value, into: &policy) } catch { mistakes.append(error) }
      }
    default:
      throw mistake(["retry"], "must be a number of tries or a table like { attempts = 3 }, \(got(value))")
    }
    options.retry = policy
  }

  private func read(_ name: String, _ value: Value, into policy: inout RetryPolicy) throws(Mistake) {
    let path = ["retry", name]
    switch name {
    case "attempts": policy.attempts = try count(path, value, 1...100)
    case "backoff": policy.backoff = try span(path, value)
    case "longest": policy.longest = try span(path, value)
    case "order":
      guard case .string(let text) = value, let order = RetryPolicy.Order(rawValue: text) else {
        throw mistake(path, "must be \"keep\" or \"free\", \(got(value))")
      }
      policy.order = order
    default: throw unknown(path, among: ["attempts", "backoff", "longest", "order"])
    }
  }

  // MARK: Bindings

  private mutating func readBindings(_ value: Value) throws(Mistake) {
    guard case .map(let bindings) = value else {
      throw mistake(["on"], "must be a table like { data = \"bars/*\" }, \(got(value))")
    }
    for (name, value) in bindings.sorted(by: { $0.key < $1.key }) {
      guard let kind = EventKind(rawValue: name) else {
        mistakes.append(unknown(["on", name], among: EventKind.allCases.map(\.rawValue)))
        continue
      }
      var items = [value]
      if case .array(let list) = value { items = list }
      for (index, item) in items.enumerated() {
        do throws(Mistake) { try bind(kind, item) } catch {
          // In a list each may have a line of its own.
          mistakes.append(Mistake(path: error.path + ["\(index + 1)"], message: error.message))
        }
      }
    }
  }

  private mutating func bind(_ kind: EventKind, _ item: Value) throws(Mistake) {
    let path = ["on", kind.rawValue]
    if kind == .start {
      guard item == .bool(true) else { throw mistake(path, "must be true, \(got(item))") }
      return addSchedule(kind, "", .start)
    }
    guard case .string(let text) = item, !text.isEmpty else {
      throw mistake(path, "must be a string or a list of strings, \(got(item))")
    }
    do {
      switch kind {
      case .cron: addSchedule(kind, text, try ScheduledJob.Rule(cron: text))
      case .at: addSchedule(kind, text, .at(try Timestamp(parsing: text)))
      case .every: addSchedule(kind, text, .every(try span(path, item)))
      case .commit where !text.contains("/") && !text.contains("**"):
        throw mistake(
          path,
          "names keys as store/key, got \"\(shown(text))\"; write \"\(shown(text))/**\" for all of a store")
      case _ where text.contains("*") && text.utf8.count > EventPattern.longest:
        throw mistake(
          path,
          "a pattern with * has at most \(EventPattern.longest) bytes, this one \(text.utf8.count): \"\(shown(text))\""
        )
      case _ where options.on.count >= Self.mostPatterns:
        throw mistake(path, "more than \(Self.mostPatterns) patterns: use * for what they have in common")
      default: options.on.append(EventPattern(kind, text))
      }
    } catch let error as Mistake { throw error } catch { throw mistake(path, "'\(shown(text))': \(error)") }
  }

  private mutating func addSchedule(_ kind: EventKind, _ text: String, _ rule: ScheduledJob.Rule) {
    let words = [script.name, "on.\(kind)", text].filter { !$0.isEmpty }
    script.schedules.append(
      ScheduledJob(name: words.joined(separator: " "), rule: rule, action: .trigger(script.name)))
  }

  // MARK: Single values

  private func text(_ path: [String], _ value: Value) throws(Mistake) -> String {
    guard case .string(let text) = value else { throw mistake(path, "must be a string, \(got(value))") }
    return text
  }

  private func count(_ path: [String], _ value: Value, _ range: ClosedRange<Int64>) throws(Mistake) -> Int {
    guard case .int(let count) = value, range.contains(count) else {
      throw mistake(
        path, "must be a whole number from \(range.lowerBound) to \(range.upperBound), \(got(value))")
    }
    return Int(count)
  }

  private func span(_ path: [String], _ value: Value) throws(Mistake) -> Duration {
    let text = try text(path, value)
    guard let span = try? TimeSpan.parse(text), span > .zero else {
      throw mistake(
        path, "must be a time span above zero like \"250ms\", \"2s\", \"5m\" or \"1h\", \(got(value))")
    }
    return span
  }

  private func choice<Choice>(
    _ field: String, _ value: Value, _ choices: [(name: String, choice: Choice)]
  ) throws(Mistake) -> Choice {
    let text = try text([field], value)
    if let found = choices.first(where: { $0.name == text }) { return found.choice }
    let names = choices.map(\.name)
    throw mistake(
      [field],
      "is one of \(names.joined(separator: ", ")), \(got(value))"
        + Suggestion.clause(for: text, among: names))
  }

  private func got(_ value: Value) -> String {
    if case .bytes = value { return "got bytes that are not UTF-8" }
    return "got \(shown("\(value)"))"
  }

  /// Of a long text the beginning.
  private func shown(_ text: String) -> String { text.count > 100 ? text.prefix(97) + "..." : text }

  private func mistake(_ path: [String], _ message: String) -> Mistake {
    Mistake(path: path, message: "\(path.joined(separator: ".")) \(message)")
  }

  /// A field of a table in the table.
  private func unknown(_ path: [String], among known: [String]) -> Mistake {
    Mistake(
      path: path,
      message: "\(path[0]) has no '\(path[1])'" + Suggestion.clause(for: path[1], among: known))
  }
}
