import Foundation
import NIOCore

/// The socket on which a host that runs listens for its owner: in Linux's abstract namespace (unix(7)), so no file is left
/// of a host that is killed, none is in the way of who copies the directory, and no path is too long. Its name says which
/// directory it is about. A name there has no permissions, so each side asks the system whose process is at the other end.
enum OwnerSocket {
  /// The name, as SwiftNIO takes paths; nil when there is no such directory.
  ///
  /// - Parameter data: the data directory.
  static func name(data: String) -> String? {
    var status = stat()
    guard stat(data, &status) == 0 else { return nil }
    return "\0trigger-host/\(status.st_dev)/\(status.st_ino)"
  }

  /// `struct ucred`, which Swift does not import.
  private struct Credentials: Sendable {
    var process: Int32
    var user: UInt32
    var group: UInt32
  }

  /// The user whose process is at the other end: as it was when it connected, or began to listen (`SO_PEERCRED`).
  static func user(of channel: any Channel) async throws -> UInt32 {
    guard let socket = channel as? any SocketOptionProvider else { throw ChannelError.operationUnsupported }
    let future: EventLoopFuture<Credentials> = socket.unsafeGetSocketOption(
      level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
    return try await future.get().user
  }

  /// Whether a host that runs as one user does what a process of another asks: root may act on everything anyhow.
  static func serves(_ user: UInt32, host: UInt32 = geteuid()) -> Bool { user == host || user == 0 }

  /// Whether a command may believe who listens: the owner of the directory, itself, or root.
  static func believes(_ user: UInt32, data: String) -> Bool {
    var status = stat()
    return serves(user) || stat(data, &status) == 0 && status.st_uid == user
  }
}

extension AccessControl {
  /// Lets a request over the owner's socket in, when the host's user has sent it.
  ///
  /// - Throws: `Problem`, `forbidden`.
  func admitOwner(on channel: (any Channel)?) async throws {
    guard let channel, let user = try? await OwnerSocket.user(of: channel), OwnerSocket.serves(user) else {
      throw Problem(.forbidden, "this socket is for the user whom the host runs as")
    }
  }
}
