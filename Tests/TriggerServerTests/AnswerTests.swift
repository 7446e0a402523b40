import Testing
import TriggerCore

@testable import TriggerHost
@testable import TriggerRuntime
@testable import TriggerServer

@Suite struct AnswerTests {
  /// An answer that is written without a value is, byte for byte, the JSON of that value.
  @Test func answersAreTheJSONOfTheirFields() throws {
    func result(
      _ trigger: String, _ outcome: OperationOutcome, _ failure: Failure? = nil, retryAt: Int64? = nil
    ) -> OperationResult {
      OperationResult(
        trigger: trigger, identity: 1, seq: .max, outcome: outcome, failure: failure, retryAt: retryAt)
    }
    let id = EventID(epoch: 3, number: 77)
    let failure = Failure(.error, "a \"quoted\"\nline")
    let answers: [EventAnswer] = [
      .accepted(id), .decided(id, [], hint: nil), .decided(id, [], hint: "a hint"),
      .decided(id, [result("visit", .committed)], hint: nil),
      .decided(id, [result("\"\u{1}é", .committed), result("b", .committed)], hint: nil),
      .decided(id, [result("a", .failed, failure, retryAt: 5), result("b", .committed)], hint: nil),
      .decided(id, [result("a", .superseded).asSuperseding, result("b", .skipped)], hint: nil),
    ]
    for answer in answers {
      for name in [nil, Value.int(7), .string("x\"y"), .array([.null])] {
        var fields = answer.fields
        if let name { fields["id"] = name }
        var bytes: [UInt8] = []
        answer.write(to: &bytes, id: name)
        #expect(
          String(decoding: bytes, as: UTF8.self) == (try JSON.text(.map(fields))),
          "\(answer) \(String(describing: name))")
      }
    }
  }
}
