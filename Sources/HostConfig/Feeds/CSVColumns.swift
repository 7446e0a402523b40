import TriggerCore

/// The columns of a CSV file: what its header calls them, and what the configuration makes of that.
struct CSVColumns {
  /// What cannot be meant.
  struct Mistake: Error { var message: String }

  /// By position; each has a name of its own.
  private(set) var columns: [FeedSettings.Column] = []
  /// What was decided without being told to.
  private(set) var notes: [String] = []
  /// 1 when the last column has no name: each line ends with a delimiter.
  private(set) var trailing = 0

  /// - Parameter settings: by the header's name, or the position from 1.
  init(header: [String], _ settings: [String: FeedSettings.Column]) throws(Mistake) {
    let given = header.map(Self.trimmed)
    let chosen = try Self.assign(settings, to: given)
    if given.count > 1, given.last == "", chosen[given.count - 1] == nil { trailing = 1 }
    var taken = Set(given)
    for (position, name) in given.enumerated() {
      let column = chosen[position] ?? FeedSettings.Column()
      var own = column.name ?? name
      if column.name == nil, column.type != .skip { own = unique(name, position, of: given, &taken) }
      columns.append(FeedSettings.Column(name: own, type: column.type))
    }
    var names: Set<String> = []
    for column in columns where column.type != .skip && !names.insert(column.name ?? "").inserted {
      throw Mistake(
        message: "two columns would be called `\(column.name ?? "")`; name one of them under `columns`")
    }
  }

  private static func trimmed(_ name: String) -> String {
    let isBlank = { (character: Character) in character == " " || character == "\t" }
    let start = name.drop(while: isBlank)
    return String(start.reversed().drop(while: isBlank).reversed())
  }

  /// A name that no other column has, for one that has none or one that came before.
  private mutating func unique(
    _ name: String, _ position: Int, of given: [String], _ taken: inout Set<String>
  ) -> String {
    if !name.isEmpty, given.firstIndex(of: name) == position { return name }
    var own = name.isEmpty ? "column_\(position + 1)" : name
    var count = 1
    while taken.contains(own) {
      count += 1
      own = name.isEmpty ? "column_\(position + 1)_\(count)" : "\(name)_\(count)"
    }
    taken.insert(own)
    if name.isEmpty, position == given.count - 1, trailing == 1 { return own }
    let fault =
      name.isEmpty ? "column \(position + 1) has no name" : "column \(position + 1) is named `\(name)` again"
    notes.append(
      "header: \(fault): it is `\(own)`; under `columns`, \(position + 1): { name: … } says otherwise")
    return own
  }

  /// What is said of each position.
  private static func assign(
    _ settings: [String: FeedSettings.Column], to header: [String]
  ) throws(Mistake) -> [Int: FeedSettings.Column] {
    var chosen: [Int: FeedSettings.Column] = [:]
    for key in settings.keys.sorted() {
      let position: Int
      if let named = header.firstIndex(of: key) {
        position = named
      } else if let number = Int(key), String(number) == key {
        guard header.indices.contains(number - 1) else {
          throw Mistake(message: "no column \(number): there are \(header.count)")
        }
        position = number - 1
      } else {
        throw Mistake(message: "no column `\(key)`\(Suggestion.clause(for: key, among: header))")
      }
      guard chosen.updateValue(settings[key]!, forKey: position) == nil else {
        throw Mistake(
          message:
            "`columns` names column \(position + 1) twice, as `\(header[position])` and by its position")
      }
    }
    return chosen
  }
}
