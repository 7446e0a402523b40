import Testing

@testable import TriggerServer

@Suite struct ProblemTests {
  @Test func hasTheMediaTypeOfTheStandard() { #expect(problemMediaType == "application/problem+json") }
}
