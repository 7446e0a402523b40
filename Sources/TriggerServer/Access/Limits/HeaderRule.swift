import HTTPTypes
import TriggerCore

/// How long the head of a request may be.
struct HeaderRule {
  private let limits: ServerLimits

  init(_ limits: ServerLimits) { self.limits = limits }

  func check(_ request: AccessRequest) throws(Refusal) {
    guard request.fields.count <= limits.headerFields else {
      throw Refusal(.headerTooLarge, "The head of the request has more than \(limits.headerFields) fields.")
    }
    let bytes = request.fields.reduce(0) { $0 + $1.name.rawName.utf8.count + $1.value.utf8.count + 4 }
    guard bytes + (request.host?.utf8.count ?? 0) <= limits.headerBytes else {
      throw Refusal(
        .headerTooLarge, "The head of the request is longer than \(ByteSize(bytes: limits.headerBytes)).")
    }
  }
}

/// Counts the bytes of one body.
public struct BodyMeter: Hashable, Sendable {
  private let limit: Int
  private var received = 0

  /// - Parameter declared: what `Content-Length` says, if it is there: a body that is too long is refused before it comes.
  public init(_ limits: ServerLimits, declared: Int? = nil) throws(Refusal) {
    limit = limits.bodyBytes
    if let declared, declared > limit { throw tooLong }
  }

  /// Some more bytes have come.
  public mutating func take(_ count: Int) throws(Refusal) {
    guard count <= limit - received else { throw tooLong }
    received += count
  }

  private var tooLong: Refusal {
    Refusal(.bodyTooLarge, "The body of the request is longer than \(ByteSize(bytes: limit)).")
  }
}
