import HTTPTypes
import NIOCore
import TriggerHost

/// What a request wants to do.
public enum Permission: Sendable, Hashable {
  /// Read stores, executions, statistics and the log.
  case read
  /// Send an event of this name.
  case send(event: String)
  /// Change what the host is: requeue, roll back, and the like.
  case admin
}

/// What somebody may do.
public enum Scope: Sendable, Hashable {
  /// Read everything.
  case read
  /// Send events whose names match a pattern (`EventPattern`).
  case events(String)
  /// Everything.
  case admin

  /// Whether it covers what a request wants. O(pattern + name).
  public func covers(_ permission: Permission) -> Bool {
    switch (self, permission) {
    case (.admin, _), (.read, .read): true
    case (.events(let pattern), .send(let event)): EventPattern(.event, pattern).matches(event)
    default: false
    }
  }
}

/// Who asks, and what they may do.
public struct Caller: Sendable, Hashable {
  /// The same for all requests of one caller. Idempotency keys and the order of events are the caller's own.
  public let name: String
  /// What they may do: what any of these covers.
  public let scopes: [Scope]

  /// - Parameter name: unique among callers.
  public init(_ name: String, scopes: [Scope]) { (self.name, self.scopes) = (name, scopes) }

  /// Whoever asks where nobody needs a name: on loopback, or with `ServerOptions.isInsecure`.
  public static let anyone = Caller("", scopes: [.admin])

  /// - Throws: `Problem`, `forbidden`.
  public func require(_ permission: Permission) throws {
    if scopes.contains(where: { $0.covers(permission) }) { return }
    let what =
      switch permission {
      case .read: "read"
      case .send(let event): "send events '\(event)'"
      case .admin: "change the host"
      }
    throw Problem(.forbidden, "\(name.isEmpty ? "whoever asks" : "'\(name)'") may not \(what)")
  }
}

/// Says who asks. A server asks once for each request but those for its health, before anything of the body is read.
public protocol AccessControl: Sendable {
  /// Whether a server may listen on an address that others reach: false where everyone is `Caller.anyone`.
  var knowsCallers: Bool { get }
  /// Who sends a request. Any thread; it must not block.
  ///
  /// - Parameters:
  ///   - request: the head.
  ///   - address: where it comes from; nil when nobody knows.
  /// - Throws: `Problem`, such as `unauthorized`.
  func caller(of request: HTTPRequest, from address: SocketAddress?) async throws -> Caller
}

/// Nobody is asked who they are, and everyone may do everything.
public struct OpenAccess: AccessControl {
  /// False.
  public var knowsCallers: Bool { false }
  /// For a server that only this machine reaches, or one that says that it is insecure.
  public init() {}
  /// `Caller.anyone`.
  public func caller(of request: HTTPRequest, from address: SocketAddress?) -> Caller { .anyone }
}
