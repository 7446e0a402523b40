import HTTPTypes
import TriggerCore

/// How long the head of a request may be.
struct HeaderRule {
  private let limits: ServerLimits

  init(_ limits: ServerLimits) { self.limits = limits }

  func check(_ request: AccessRequest) throws(Refusal) {
    guard request.fields.count <= limits.headerFields else {
      throw Refusal(
        .headerTooLarge, "The head of the request has more than \(limits.headerFields) fields.")
    }
    let bytes = request.fields.reduce(0) {
      $0 + $1.name.rawName.utf8.count + $1.value.utf8.count + 4
    }
    guard bytes + (request.host?.utf8.count ?? 0) <= limits.headerBytes else {
      throw Refusal(
        .headerTooLarge,
        "The head of the request is longer than \(ByteSize(bytes: limits.headerBytes)).")
    }
  }
}
