import TriggerCore

/// The two operations all figures are about, over keys `k0` to `k9999` of a store.
enum StandardOperation: String, CaseIterable, Sendable {
  /// Reads `{count, total, last}` at a key, adds, writes it back.
  case bump
  /// Reads 14 closes, appends one, computes RSI over the 14 differences, writes the newest 14 and the rsi.
  case indicator
  /// Adds to a counter without reading it.
  case add

  var script: String {
    switch self {
    case .bump:
      """
      return {
        on = { event = "bump" },
        execute = function(event, ctx)
          local store = ctx:store("bench")
          local record = store:get(event.key)
          return {
            store:put(event.key, {
              count = record.count + 1,
              total = record.total + event.amount,
              last = event.amount,
            }),
          }
        end,
      }
      """
    case .indicator:
      """
      return {
        on = { event = "indicator" },
        execute = function(event, ctx)
          local store = ctx:store("bench")
          local closes = store:get(event.key).closes
          closes[15] = event.close
          local gain, loss = 0, 0
          for i = 2, 15 do
            local change = closes[i] - closes[i - 1]
            if change > 0 then gain = gain + change else loss = loss - change end
          end
          local rsi = loss == 0 and 100.0 or 100 - 100 / (1 + gain / loss)
          local newest = {}
          for i = 2, 15 do newest[i - 1] = closes[i] end
          return { store:put(event.key, { closes = newest, rsi = rsi }) }
        end,
      }
      """
    case .add:
      """
      return {
        on = { event = "add" },
        execute = function(event, ctx)
          return { ctx:store("counters"):add("all", event.amount) }
        end,
      }
      """
    }
  }

  /// What is at a key before the first operation.
  func initial(_ key: Int) -> Value {
    switch self {
    case .bump, .add: ["count": .int(0), "total": .int(0), "last": .int(0)]
    case .indicator:
      [
        "closes": .array((0..<14).map { .double(1.07 + Double((key * 7 + $0 * 13) % 100) / 10_000) }),
        "rsi": .double(50),
      ]
    }
  }

  /// The event for a key.
  func event(_ key: Int) -> Value {
    switch self {
    case .bump, .add: ["key": .string("k\(key)"), "amount": .int(Int64(key % 100))]
    case .indicator: ["key": .string("k\(key)"), "close": .double(1.07 + Double(key % 97) / 10_000)]
    }
  }
}
