/// A car park as its operator sees it. Times are nanoseconds since 1970.
struct CarPark: Codable, Sendable, Equatable {
  /// What a car may not do.
  enum Refusal: Error, CustomStringConvertible {
    case full
    case isInside(String)
    case isNotInside(String)

    var description: String {
      switch self {
      case .full: "every space is taken"
      case .isInside(let plate): "\(plate) is inside already"
      case .isNotInside(let plate): "\(plate) is not inside"
      }
    }
  }

  /// A day that is over.
  struct Day: Codable, Sendable, Equatable {
    var end: Int64
    var cents: Int64
  }

  /// Each hour that has begun.
  static let centsPerHour: Int64 = 250
  private static let hour: Int64 = 3_600_000_000_000

  var spaces: Int
  /// When each car came, by plate.
  var inside: [String: Int64] = [:]
  /// Taken today.
  var cents: Int64 = 0
  var days: [Day] = []

  init(spaces: Int) { self.spaces = spaces }

  var free: Int { spaces - inside.count }

  mutating func enter(_ plate: String, at time: Int64) throws {
    if inside[plate] != nil { throw Refusal.isInside(plate) }
    if free == 0 { throw Refusal.full }
    inside[plate] = time
  }

  mutating func leave(_ plate: String, at time: Int64) throws {
    guard let came = inside.removeValue(forKey: plate) else { throw Refusal.isNotInside(plate) }
    cents += max(1, (time - came + Self.hour - 1) / Self.hour) * Self.centsPerHour
  }

  mutating func closeDay(at time: Int64) {
    days.append(Day(end: time, cents: cents))
    cents = 0
  }
}
