import Foundation
import Testing
import TriggerCore
import TriggerHost

/// Values as `Decodable` types: what may become what, and how it is said when it may not.
@Suite struct ValueDecodingTests {
  private struct Bar: Decodable, Equatable {
    var close: Double
    var volume: Int?
  }
  private struct Bars: Decodable, Equatable {
    var symbol: String
    var bars: [Bar]
  }

  private func error<Wanted: Decodable>(_ value: Value, as type: Wanted.Type) -> String? {
    do {
      _ = try value.decoded(as: type, name: "event")
      return nil
    } catch { return "\(error)" }
  }

  @Test func aTypeWithinAnother() throws {
    let value: Value = [
      "symbol": "EURUSD",
      "bars": [["close": 1.5, "volume": 3], ["close": 2], ["close": 3, "volume": .null]],
      "unknown": true,
    ]
    #expect(
      try value.decoded()
        == Bars(
          symbol: "EURUSD",
          bars: [Bar(close: 1.5, volume: 3), Bar(close: 2, volume: nil), Bar(close: 3, volume: nil)]))
  }

  @Test func errorsNameThePlace() {
    func bars(_ last: Value) -> Value { ["symbol": "x", "bars": [["close": 1], ["close": 1], last]] }
    #expect(
      error(bars(["close": "high"]), as: Bars.self)
        == "event.bars[2].close: expected a number, got a string")
    #expect(error(bars([:]), as: Bars.self) == "event.bars[2].close: missing")
    #expect(
      error(bars(["close": .null]), as: Bars.self) == "event.bars[2].close: expected a number, got null")
    #expect(
      error(bars(["close": 1, "volume": 1.5]), as: Bars.self)
        == "event.bars[2].volume: expected an integer (Int), got 1.5")
    let problem = #expect(throws: ValueDecodingError.self) { try bars("flat").decoded(as: Bars.self) }
    #expect(problem?.path == "value.bars[2]" && problem?.problem == "expected a map, got a string")
    #expect(error(["bars": []], as: Bars.self) == "event.symbol: missing")
    #expect(error([1, 2], as: Bars.self) == "event: expected a map, got an array")
    #expect(
      error(["a b": ["x": true]], as: [String: [String: Int]].self)
        == #"event["a b"].x: expected an integer, got a boolean"#)
    #expect(error([1], as: Pair.self) == "event[1]: missing")
  }

  private struct Pair: Decodable {
    init(from decoder: any Decoder) throws {
      var items = try decoder.unkeyedContainer()
      _ = (try items.decode(Int.self), try items.decode(Int.self))
    }
  }

  @Test func integersTakeWholeNumbersThatFit() throws {
    #expect(try Value.int(.max).decoded(as: Int64.self) == .max)
    #expect(try Value.int(255).decoded(as: UInt8.self) == 255)
    #expect(try Value.double(3.0).decoded(as: Int.self) == 3)
    #expect(try Value.double(-0.0).decoded(as: Int.self) == 0)
    #expect(error(256, as: UInt8.self) == "event: 256 does not fit UInt8")
    #expect(error(-1, as: UInt64.self) == "event: -1 does not fit UInt64")
    #expect(
      error(.double(0x1p63), as: Int64.self)?.hasPrefix("event: expected an integer (Int64), got 9.2") == true
    )
    #expect(error(.double(.nan), as: Int.self)?.contains("expected an integer") == true)
    #expect(error(true, as: Int.self) == "event: expected an integer, got a boolean")
    #expect(error("1", as: Int.self) == "event: expected an integer, got a string")
  }

  @Test func floatsTakeWhatTheyHoldExactly() throws {
    #expect(try Value.int(1 << 53).decoded(as: Double.self) == 0x1p53)
    #expect(
      error(.int((1 << 53) + 1), as: Double.self)
        == "event: a Double cannot hold 9007199254740993 exactly")
    #expect(try Value.double(.infinity).decoded(as: Double.self) == .infinity)
    #expect(try Value.double(.nan).decoded(as: Double.self).isNaN)
    #expect(try Value.double(0.1).decoded(as: Float.self) == 0.1)
    #expect(error(1e300, as: Float.self) == "event: 1e+300 is beyond a Float")
  }

  @Test func bytesAndText() throws {
    #expect(try Value.bytes([1, 255]).decoded(as: Data.self) == Data([1, 255]))
    #expect(try Value.bytes([1, 255]).decoded(as: [UInt8].self) == [1, 255])
    #expect(try Value.array([1, 255]).decoded(as: Data.self) == Data([1, 255]))
    #expect(error(.bytes([65]), as: String.self) == "event: expected a string, got bytes")
    #expect(error("QQ==", as: Data.self) == "event: expected an array, got a string")
    #expect(try Value.string("https://example.org/a").decoded(as: URL.self).path == "/a")
  }

  @Test func times() throws {
    let time = Date(timeIntervalSince1970: 1_767_225_600)
    #expect(try Value.string("2026-01-01T00:00:00Z").decoded(as: Date.self) == time)
    #expect(try Value.int(1_767_225_600).decoded(as: Date.self) == time)
    #expect(error("yesterday", as: Date.self)?.contains("expected a time like") == true)
    #expect(error(false, as: Date.self)?.contains("expected a time") == true)
  }

  private enum Side: String, Decodable { case buy, sell }
  private enum Shape: Decodable, Equatable { case circle(radius: Double), point }

  @Test func enumsSetsAndOptionals() throws {
    #expect(try Value.string("sell").decoded(as: Side.self) == .sell)
    #expect(error("hold", as: Side.self)?.hasPrefix("event: ") == true)
    #expect(try Value.map(["circle": ["radius": 2]]).decoded(as: Shape.self) == .circle(radius: 2))
    #expect(try Value.array([1, 2, 1]).decoded(as: Set<Int>.self) == [1, 2])
    #expect(try Value.array([1, .null, 3]).decoded(as: [Int?].self) == [1, nil, 3])
    #expect(try Value.null.decoded(as: Int?.self) == nil)
  }
}

/// A Swift trigger that gets its event as a value.
@Suite struct EventTriggerTests {
  private struct Deposit: EventTrigger {
    struct Payment: Decodable {
      var account: String
      var cents: Int64
    }
    let balances: VersionedStore<MemoryStoreBackend>
    var options: TriggerOptions { TriggerOptions(on: [EventPattern(.event, "deposit")]) }

    func execute(_ payment: Payment, _ context: ExecutionContext) async throws -> [CommitIntent] {
      [balances.add(payment.account, .int(payment.cents)), balances.put("last", .string(context.eventName))]
    }
  }

  @Test func theEventIsAValue() async throws {
    let coordinator = CommitCoordinator(EngineConfiguration(workers: 1))
    let balances = try coordinator.register(VersionedStore("balances", backend: MemoryStoreBackend()))
    let queue = TriggerQueue(coordinator)
    queue.bind([Deposit(balances: balances)])
    queue.start()
    let good = try await queue.perform(Event("deposit", ["account": "a", "cents": 250]))
    #expect(good.map(\.outcome) == [.committed])
    #expect(try balances.get("a") == 250 && balances.get("last") == "deposit")
    let bad = try await queue.perform(Event("deposit", ["account": "a", "cents": "250"]))
    #expect(bad.first?.code == .error)
    #expect(bad.first?.error == "Deposit: event.cents: expected an integer, got a string")
    #expect(try balances.get("a") == 250)
    await queue.stop()
    await #expect(throws: StoreError.self) { try await Deposit(balances: balances).execute() }
  }
}
