import Foundation

/// Runs what may block on a thread of its own: the cooperative pool has others to serve.
func onOwnThread<Result: Sendable>(
  _ name: String, _ body: @escaping @Sendable () throws -> Result
) async throws -> Result {
  try await withCheckedThrowingContinuation { continuation in
    let thread = Thread { continuation.resume(with: Swift.Result { try body() }) }
    thread.name = name
    thread.start()
  }
}
