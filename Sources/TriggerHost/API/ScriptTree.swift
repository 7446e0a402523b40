import TriggerCore

/// One version of the Lua scripts, checked: every trigger compiled, its chunk run once, its table read.
///
/// Files under `lib/` (at any depth of the tree's root) are modules for `require`; `*_test.lua` files are
/// tests; every other `.lua` file is a trigger named after its path without `.lua` and without a leading
/// `triggers/`, unless its table has a `name`.
public struct ScriptTree: Sendable {
  public struct Script: Sendable {
    public var name: String
    public var path: String
    public var options: TriggerOptions
    /// Schedules its own `on` asks for: `cron`, `every`, `at`, `start`.
    public var schedules: [ScriptSchedule]
  }

  /// A time binding in a script's `on`.
  public struct ScriptSchedule: Sendable, Hashable {
    public enum Kind: String, Sendable { case cron, every, at, start }
    public var kind: Kind
    /// A cron expression, a time span, a time, or empty for `start`.
    public var text: String
  }

  /// A file that cannot be used, or a warning about one.
  public struct Problem: Sendable, Error, CustomStringConvertible {
    public enum Severity: Sendable { case error, warning }
    public var severity: Severity
    /// `file:line: message`.
    public var description: String
  }

  public var files: [String: [UInt8]]
  public var triggers: [Script] = []
  public var problems: [Problem] = []

  /// Checks the files (relative path to content). Broken scripts are in `problems`, not in `triggers`; the
  /// others are not affected. O(size of the scripts).
  ///
  /// - Parameter defaults: options for what a script's table leaves out.
  public init(files: [String: [UInt8]], defaults: TriggerOptions = TriggerOptions()) {
    self.files = files
    let loader = ScriptLoader(files: files)
    for path in files.keys.sorted() where Self.isTrigger(path) {
      do throws(Problem) {
        let script = try Self.read(path, spec: try loader.spec(of: path), defaults: defaults)
        if let other = triggers.first(where: { $0.name == script.name }) {
          throw Problem(
            severity: .error,
            description:
              "\(path):1: a trigger named '\(script.name)' is already in \(other.path); give one of them a name"
          )
        }
        if script.options.on.isEmpty, script.schedules.isEmpty {
          problems.append(
            Problem(
              severity: .warning,
              description:
                "\(path):1: nothing triggers '\(script.name)': it has no 'on'; bind it there or in a cron file"
            ))
        }
        triggers.append(script)
      } catch { problems.append(error) }
    }
  }

  static func isTrigger(_ path: String) -> Bool {
    path.hasSuffix(".lua") && !path.hasSuffix("_test.lua") && !path.hasPrefix("lib/")
      && !path.contains("/lib/")
  }

  // MARK: Reading a script's table

  private static func read(
    _ path: String, spec: [String: Value], defaults: TriggerOptions
  ) throws(Problem) -> Script {
    func problem(_ message: String) -> Problem {
      Problem(severity: .error, description: "\(path):1: \(message)")
    }
    var options = defaults
    var schedules: [ScriptSchedule] = []
    var name = String(path.dropLast(4))
    if name.hasPrefix("triggers/") { name = String(name.dropFirst(9)) }
    for (field, value) in spec.sorted(by: { $0.key < $1.key }) {
      switch (field, value) {
      case ("name", .string(let text)): name = text
      case ("priority", .string(let text)):
        guard let priority = Priority(text) else {
          throw problem("priority is critical, high, normal or low, got \"\(text)\"")
        }
        options.priority = priority
      case ("timeout", .string(let text)):
        do { options.timeout = try TimeSpan.parse(text) } catch { throw problem("timeout: \(error)") }
      case ("memory", .string(let text)):
        do { options.memory = try ByteSize(parsing: text).bytes } catch { throw problem("memory: \(error)") }
      case ("on", let value): try readBindings(value, into: &options, &schedules, problem)
      case ("order_by", .string(let text)): options.orderBy = text.split(separator: ".").map(String.init)
      case ("coalesce", .string(let text)): options.coalesce = text.split(separator: ".").map(String.init)
      case ("coalesce", .bool(let all)): options.coalesce = all ? [] : nil
      case ("name", _), ("priority", _), ("timeout", _), ("memory", _), ("order_by", _):
        throw problem("\(field) must be a string")
      case ("coalesce", _): throw problem("coalesce must be true or the name of a field of the event")
      case ("execute", _): break
      default:
        let known = ["on", "name", "priority", "timeout", "memory", "order_by", "coalesce", "execute"]
        throw problem("unknown field '\(field)'\(Suggestion.clause(for: field, among: known))")
      }
    }
    return Script(name: name, path: path, options: options, schedules: schedules)
  }

  private static func readBindings(
    _ value: Value, into options: inout TriggerOptions, _ schedules: inout [ScriptSchedule],
    _ problem: (String) -> Problem
  ) throws(Problem) {
    guard case .map(let bindings) = value else {
      throw problem("on must be a table like { data = \"bars/*\" }")
    }
    for (kindName, value) in bindings.sorted(by: { $0.key < $1.key }) {
      guard let kind = EventKind(rawValue: kindName) else {
        let known = EventKind.allCases.map(\.rawValue)
        throw problem("on has no '\(kindName)'\(Suggestion.clause(for: kindName, among: known))")
      }
      let items: [Value]
      if case .array(let list) = value { items = list } else { items = [value] }
      for item in items {
        switch (kind, item) {
        case (.start, .bool(true)): schedules.append(ScriptSchedule(kind: .start, text: ""))
        case (.cron, .string(let text)), (.every, .string(let text)), (.at, .string(let text)):
          schedules.append(ScriptSchedule(kind: ScriptSchedule.Kind(rawValue: kindName)!, text: text))
        case (.message, .string(let text)), (.event, .string(let text)), (.data, .string(let text)),
          (.commit, .string(let text)):
          options.on.append(EventPattern(kind, text))
        case (.start, _): throw problem("on.start must be true")
        default: throw problem("on.\(kindName) must be a string or a list of strings")
        }
      }
    }
  }
}
