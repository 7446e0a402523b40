import Foundation

/// A time zone's offsets: what the cron rules need to know of it.
public struct Zone: Hashable, Sendable, CustomStringConvertible {
  private let zone: TimeZone

  /// An IANA name such as `Europe/Berlin`; nil if the zone data knows none of that name. O(1).
  public init?(_ name: String) {
    guard let zone = TimeZone(identifier: name) else { return nil }
    self.zone = zone
  }

  private init(_ zone: TimeZone) { self.zone = zone }

  /// Coordinated Universal Time: no offset, no daylight saving.
  public static let utc = Zone(TimeZone(secondsFromGMT: 0)!)
  /// The machine's zone, as of now.
  public static var host: Zone { Zone(TimeZone.current) }

  /// What is wrong with a value of the environment's `TZ`, and which zone is in force instead; nil when it names one. Only
  /// names are understood, not POSIX's descriptions of rules such as `CET-1CEST`, nor paths.
  public static func fault(ofEnvironment value: String?) -> String? {
    guard let value, Zone(value) == nil else { return nil }
    let name = value.first == ":" ? String(value.dropFirst()) : value
    let hint =
      value.isEmpty ? "" : Zone(name) != nil ? ": write \(name)" : Suggestion.clause(for: value, among: names)
    return "TZ is '\(value)', which names no time zone such as Europe/Berlin\(hint); times are \(host)"
  }

  /// The zone's name, and how far its clocks are ahead of UTC at a time: `Europe/Berlin (+01:00)`.
  public func described(at time: Timestamp) -> String {
    let offset = offset(at: floorDivide(Int(time.nanoseconds), by: 1_000_000_000).quotient)
    let minutes = abs(offset) / 60
    return "\(self) (\(offset < 0 ? "-" : "+")\(padded(minutes / 60, 2)):\(padded(minutes % 60, 2)))"
  }

  /// The IANA names the zone data knows: for suggestions.
  public static var names: [String] { TimeZone.knownTimeZoneIdentifiers }

  /// The IANA name.
  public var description: String { zone.identifier }

  /// Seconds that local time is ahead of UTC at `second` (Unix time).
  func offset(at second: Int) -> Int { zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(second))) }

  /// What a clock in this zone shows, with its offset: `2026-07-01T10:00:00+02:00`.
  public func format(_ time: Timestamp) -> String {
    let second = floorDivide(Int(time.nanoseconds), by: 1_000_000_000).quotient
    let offset = offset(at: second)
    let minutes = abs(offset) / 60
    let zone =
      offset == 0 ? "Z" : "\(offset < 0 ? "-" : "+")\(padded(minutes / 60, 2)):\(padded(minutes % 60, 2))"
    return "\(time.civil(offsetSeconds: offset))\(zone)"
  }

  /// The first second after `second` at which the offset is another, nil when none comes.
  func transition(after second: Int) -> Int? {
    var from = Date(timeIntervalSince1970: Double(second))
    let offset = offset(at: second)
    // The zone data lists changes of name or of the DST flag too; those move no clock.
    for _ in 0..<64 {
      guard let next = zone.nextDaylightSavingTimeTransition(after: from), next > from else { return nil }
      let at = Int(next.timeIntervalSince1970.rounded())
      if self.offset(at: at) != offset { return at }
      from = next
    }
    return nil
  }
}
