import Foundation
import Testing

/// The market example from end to end, against the same arithmetic in plain Swift.
@Suite struct MarketTests {
  /// Feeds as fast as the queue takes rows. In strict order, because on a machine with other work a default
  /// host of several workers defers so much of such a flood that it takes a minute; and with time enough for a
  /// script that such a machine holds up.
  private func quickMarket() throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory()
    let market = try directory.copy(example: "market")
    try directory.edit("\(market)/host.yaml") { text in
      let lines = text.split(separator: "\n").filter { !$0.contains("rate:") }
      return lines.joined(separator: "\n") + "\norder: strict\nlimits: { timeout: 1m }\n"
    }
    return directory
  }

  @Test func everyBarIsFedAndTheSummaryTellsIt() async throws {
    let directory = try quickMarket()
    let ended = try await triggerHost("run", "--config", directory("market/host.yaml"), "--exit-when-idle")
    let desk = try Desk(bars: directory.read("market/data/eurusd_1h.csv"))
    #expect(ended.status == 0)
    #expect(ended.output.isEmpty)
    #expect(!ended.errors.contains("\u{1b}") && !ended.errors.contains("\r"), "no terminal, no escape codes")
    #expect(ended.errorLines[1] == "4 triggers: indicators, portfolio, report, strategy")
    let totals = try #require(ended.errorLines.first { $0.contains("rows fed") })
    #expect(totals.hasPrefix("5000 rows fed; "))
    #expect(totals.contains(" 0 failed, 0 skipped"))

    let rows = triggerRows(ended)
    #expect(rows.map(\.name) == ["indicators", "portfolio", "report", "strategy"])
    let committed = Dictionary(uniqueKeysWithValues: rows.map { ($0.name, $0.committed) })
    #expect(committed["indicators"] == 5000)
    #expect(committed["strategy"] == desk.decisions)
    #expect(committed["portfolio"] == 5000 + desk.orders.count)
    #expect(rows.allSatisfy { $0.failed == 0 })

    // One key for each order, one for the newest.
    #expect(
      ended.errorLines.contains {
        $0.hasPrefix("store orders:") && $0.hasSuffix("\(desk.orders.count + 1) keys")
      })
    let books = try object(in: ended, after: "store portfolio:")
    #expect(books["filled"] as? Int == desk.orders.count)
    #expect(books["trades"] as? Int == desk.trades)
    #expect(books["units"] as? Int == desk.units)
    #expect(abs(try #require(books["realised"] as? Double) - desk.realised) < 1e-6)
  }

  @Test func theLastIndicatorsAreThoseOfPlainArithmetic() async throws {
    let directory = try quickMarket()
    let desk = try Desk(bars: directory.read("market/data/eurusd_1h.csv"))
    try directory.write(
      "market/triggers/probe.lua",
      """
      return {
        on = { commit = "charts/*" },
        coalesce = true,
        execute = function(event, ctx)
          local chart = ctx:store("charts"):get("EURUSD")
          ctx:log("info", "chart", { time = chart.time, rsi = chart.rsi, fast = chart.fast, slow = chart.slow })
          return {}
        end,
      }
      """)
    let ended = try await triggerHost("run", "--config", directory("market/host.yaml"), "--exit-when-idle")
    #expect(ended.status == 0)
    let line = try #require(ended.errorLines.last { $0.contains("info: chart {") }, "\(ended)")
    let chart = try parse(line.drop { $0 != "{" })
    #expect(chart["time"] as? String == desk.time)
    #expect(abs(try #require(chart["rsi"] as? Double) - desk.rsi) < 1e-9)
    #expect(abs(try #require(chart["fast"] as? Double) - desk.fast) < 1e-12)
    #expect(abs(try #require(chart["slow"] as? Double) - desk.slow) < 1e-12)
  }

  // MARK: Reading the summary

  private func triggerRows(_ ended: EndedCommand) -> [(name: String, committed: Int, failed: Int)] {
    let table = ended.errorLines.drop { !$0.hasPrefix("trigger ") }.dropFirst().prefix {
      !$0.hasPrefix("store ")
    }
    return table.map { line in
      let words = line.split(separator: " ")
      return (String(words[0]), Int(words[1]) ?? -1, Int(words[2]) ?? -1)
    }
  }

  /// The value of the first key that the summary shows below a store.
  private func object(in ended: EndedCommand, after heading: String) throws -> [String: Any] {
    let line = try #require(ended.errorLines.drop { !$0.hasPrefix(heading) }.dropFirst().first, "\(ended)")
    return try parse(line.drop { $0 != "{" })
  }

  private func parse(_ text: Substring) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }
}

/// What the example's scripts should come to: Wilder's RSI(14), simple averages of 10 and 30 closes, a buy at
/// an upward crossing below RSI 70, a sell at a downward one or above RSI 80.
private struct Desk {
  struct Order {
    var isBuy: Bool
    var price: Double
  }

  private(set) var time = ""
  private(set) var rsi = 0.0
  private(set) var fast = 0.0
  private(set) var slow = 0.0
  private(set) var decisions = 0
  private(set) var orders: [Order] = []
  private(set) var units = 0
  private(set) var trades = 0
  private(set) var realised = 0.0

  init(bars text: String) throws {
    let rows = text.split(separator: "\n").dropFirst().map { $0.split(separator: ",") }
    let closes = try rows.map { try #require(Double($0[4])) }
    time = String(try #require(rows.last?[0]))
    let strength = Self.relativeStrength(closes, period: 14)
    for end in 30...closes.count {
      let before = (fast, slow)
      fast = Self.mean(closes[(end - 10)..<end])
      slow = Self.mean(closes[(end - 30)..<end])
      rsi = strength[end - 1]
      if end > 30 { decide(before, close: closes[end - 1]) }
    }
    count()
  }

  private mutating func decide(_ before: (fast: Double, slow: Double), close: Double) {
    decisions += 1
    let isHolding = orders.last?.isBuy ?? false
    if !isHolding, before.fast <= before.slow, fast > slow, rsi < 70 {
      orders.append(Order(isBuy: true, price: close))
    } else if isHolding, (before.fast >= before.slow && fast < slow) || rsi > 80 {
      orders.append(Order(isBuy: false, price: close))
    }
  }

  private mutating func count() {
    for (buy, sell) in zip(orders, orders.dropFirst()) where buy.isBuy {
      trades += 1
      realised += 10000 * (sell.price - buy.price)
    }
    units = orders.last?.isBuy == true ? 10000 : 0
  }

  private static func mean(_ values: ArraySlice<Double>) -> Double {
    values.reduce(0, +) / Double(values.count)
  }

  /// By close; NaN before there are enough changes.
  private static func relativeStrength(_ closes: [Double], period: Int) -> [Double] {
    let changes = zip(closes.dropFirst(), closes).map { $0 - $1 }
    var gain = changes.prefix(period).filter { $0 > 0 }.reduce(0, +) / Double(period)
    var loss = -changes.prefix(period).filter { $0 < 0 }.reduce(0, +) / Double(period)
    var result = [Double](repeating: .nan, count: period) + [100 - 100 / (1 + gain / loss)]
    for change in changes.dropFirst(period) {
      gain += (max(change, 0) - gain) / Double(period)
      loss += (max(-change, 0) - loss) / Double(period)
      result.append(100 - 100 / (1 + gain / loss))
    }
    return result
  }
}
