import TriggerCore

/// One version of the Lua scripts, checked: every trigger compiled, its chunk run once, its table read.
///
/// Files under `lib/` (at any depth of the tree's root) are modules for `require`; `*_test.lua` files are
/// tests; every other `.lua` file is a trigger named after its path without `.lua` and without a leading
/// `triggers/`, unless its table has a `name`.
public struct ScriptTree: Sendable {
  /// A trigger that a file of the tree makes.
  public struct Script: Sendable {
    /// Unique in the tree.
    public var name: String
    /// Relative path of its file, like `triggers/rsi.lua`.
    public var path: String
    /// What its table says, and the defaults for the rest.
    public var options: TriggerOptions
    /// What its own `on` asks for with `cron`, `every`, `at` and `start`.
    public var schedules: [ScheduledJob]
  }

  /// A file that cannot be used, or a warning about one.
  public struct Problem: Sendable, Error, CustomStringConvertible {
    /// `error`: the file makes no trigger. `warning`: it does, but may not do what was meant.
    public enum Severity: Sendable { case error, warning }
    /// Whether the file is used.
    public var severity: Severity
    /// `file:line: message`.
    public var description: String
  }

  /// Which tree it is in a log: equal files keep their number, so that a run can be made again.
  public struct Identity: Sendable, Hashable {
    /// From 1.
    public var number: Int
    /// When it was first in force, nanoseconds since 1970: the clock of chunks while they load.
    public var time: Int64
    /// Seed of `math.random` while chunks load.
    public var seed: UInt64

    /// An identity that was given before.
    public init(number: Int, time: Int64, seed: UInt64) {
      self.number = number
      self.time = time
      self.seed = seed
    }
  }

  /// Set by who keeps trees; nil: numbered by the process.
  public var identity: Identity?
  /// Every file, modules and tests too: relative path to content.
  public var files: [String: [UInt8]]
  /// The scripts that work, in the order of their paths.
  public var triggers: [Script] = []
  /// Errors and warnings in the order of the paths; empty when all is well.
  public var problems: [Problem] = []

  /// Checks the files (relative path to content). Broken scripts are in `problems`, not in `triggers`; the
  /// others are not affected. O(size of the scripts).
  ///
  /// - Parameter defaults: options for what a script's table leaves out.
  public init(files: [String: [UInt8]], defaults: TriggerOptions = TriggerOptions()) {
    self.files = files
    let loaded = ScriptLoader.loadAll(files)
    problems = loaded.modules
    for (path, result) in loaded.triggers {
      do throws(Problem) {
        let table = try result.get()
        let script = try ScriptTable(path: path, source: files[path]!, table).script(defaults)
        if let other = triggers.first(where: { $0.name == script.name }) {
          throw Problem(
            severity: .error,
            description:
              "\(path):\(sourceLine(of: "name", in: files[path]!)): a trigger named '\(script.name)' is already in \(other.path); give one of them a name"
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
      } catch { add(error, of: path) }
    }
  }

  /// A module that does not load is reported once, and each script that needs it says so in one line.
  private mutating func add(_ problem: Problem, of path: String) {
    let lines = problem.description.split(separator: "\n")
    guard let cause = lines.first, !cause.hasPrefix("\(path):"),
      let frame = lines.first(where: { $0.hasPrefix("\t\(path):") })
    else { return problems.append(problem) }
    if !problems.contains(where: { $0.description.split(separator: "\n").first == cause }) {
      problems.append(problem)
    }
    let line = frame.dropFirst(path.count + 2).prefix { $0 != ":" }
    let file = cause.prefix { $0 != ":" }
    problems.append(
      Problem(severity: .error, description: "\(path):\(line): needs \(file), which does not load"))
  }

  static func isTrigger(_ path: String) -> Bool {
    path.hasSuffix(".lua") && !path.hasSuffix("_test.lua") && !isModule(path)
  }

  static func isModule(_ path: String) -> Bool {
    path.hasSuffix(".lua") && (path.hasPrefix("lib/") || path.contains("/lib/"))
  }
}
