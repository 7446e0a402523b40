import Crypto
import Foundation
import HTTPTypes
import TriggerCore
import TriggerHost

/// The short-lived cookies of this host's own pages: each stands for a token, and permits what the token permits as long
/// as that counts.
///
/// A cookie names the token, when it was first given and when it ends, signed with HMAC-SHA-256 under a key that is made
/// when the host starts and never leaves it. So a cookie says nothing to another host, and ends with this one. Times are
/// seconds of a clock that nobody sets, from a moment that only this host knows.
struct PageCookies: Sendable {
  /// How long one counts.
  static let life: Int64 = 15 * 60
  /// How long it may be renewed with itself: then somebody shows the token again.
  static let longest: Int64 = 12 * 3_600
  /// Over TLS a browser takes `__Host-` from this very host only (RFC 6265bis, section 4.1.3.2).
  static let secureName = "__Host-trigger_host"
  static let plainName = "trigger_host"
  /// Of one name; a browser sends no more of ours than one for each path.
  private static let mostTried = 4

  private let key = SymmetricKey(size: .bits256)
  private let start: MonotonicTime

  init(start: MonotonicTime) { self.start = start }

  /// A cookie that was good.
  struct Content: Hashable {
    var token: TokenID
    /// Seconds since the start of this host.
    var begun: Int64
    var ends: Int64
  }

  /// The value of `Set-Cookie`; nil when somebody must show the token again.
  ///
  /// - Parameter old: the cookie that it renews.
  func header(for token: TokenID, renewing old: Content?, isSecure: Bool, at now: MonotonicTime) -> String? {
    let second = seconds(now)
    let begun = old.map(\.begun) ?? second
    let ends = min(second + Self.life, begun + Self.longest)
    guard ends > second else { return nil }
    let value = sign(Content(token: token, begun: begun, ends: ends))
    return
      "\(isSecure ? Self.secureName : Self.plainName)=\(value); Path=/; Max-Age=\(ends - second); HttpOnly; "
      + "SameSite=Strict\(isSecure ? "; Secure" : "")"
  }

  /// The value of `Set-Cookie` that makes a browser forget it.
  static func forgetting(isSecure: Bool) -> String {
    "\(isSecure ? secureName : plainName)=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict\(isSecure ? "; Secure" : "")"
  }

  /// What the fields of a request hold.
  enum Reading: Hashable {
    /// No cookie of this name.
    case none
    case good(Content)
    /// Some, and none that counts.
    case bad
  }

  func read(_ fields: HTTPFields, at now: MonotonicTime) -> Reading {
    let values = Self.values(in: fields)
    if values.isEmpty { return .none }
    let second = seconds(now)
    for value in values.prefix(Self.mostTried) {
      if let content = verify(value), content.ends > second { return .good(content) }
    }
    return .bad
  }

  private func seconds(_ time: MonotonicTime) -> Int64 { (time - start) / 1_000_000_000 }

  private func sign(_ content: Content) -> String {
    let text = "\(content.token).\(content.begun).\(content.ends)"
    let code = HMAC<SHA256>.authenticationCode(for: Data(text.utf8), using: key)
    return "\(text).\(hexadecimal(code))"
  }

  /// Nil for anything that this host did not sign.
  private func verify(_ value: Substring) -> Content? {
    let parts = value.split(separator: ".", maxSplits: 4, omittingEmptySubsequences: false)
    guard parts.count == 4, let code = bytes(ofHexadecimal: String(parts[3])) else { return nil }
    let text = parts[0...2].joined(separator: ".")
    // Takes the same time wherever the codes differ (swift-crypto).
    guard HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: Data(text.utf8), using: key) else {
      return nil
    }
    guard let token = TokenID(parts[0]), let begun = Int64(parts[1]), let ends = Int64(parts[2]) else {
      return nil
    }
    return Content(token: token, begun: begun, ends: ends)
  }

  /// Of our names, in all `Cookie` fields (RFC 6265, section 4.2.1).
  private static func values(in fields: HTTPFields) -> [Substring] {
    fields[values: .cookie].flatMap { field in
      field.split(separator: ";").compactMap { pair in
        let pair = pair.drop { $0 == " " }
        let name = [secureName, plainName].first { pair.hasPrefix("\($0)=") }
        return name.map { pair.dropFirst($0.count + 1) }
      }
    }
  }
}
