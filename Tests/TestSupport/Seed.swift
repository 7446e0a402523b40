import Foundation

/// The seed of a random test: new for each run, or what the environment variable SEED says, to see a failure
/// again: `SEED=123 swift test --filter OracleTests`.
package func testSeed() -> UInt64 {
  ProcessInfo.processInfo.environment["SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: .min ... .max)
}
