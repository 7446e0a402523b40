/// Who comes in without a token: decided once, before a host listens.
public enum StartRule: Hashable, Sendable {
  /// Everybody on this machine may do everything, until the first token exists.
  case loopback
  /// The user whom the host runs as may do everything, and nobody else anything: a `HostSocket`.
  case owner
  /// Nobody.
  case tokens
  /// Everybody may do everything: `--insecure`.
  case insecure

  /// Whether a host may listen there, and who comes in.
  ///
  /// - Parameter address: as it was given: a name, or an IP address with or without brackets.
  /// - Parameter hasTokens: whether there is any token, be it good, expired or revoked.
  /// - Parameter isInsecure: whether `--insecure` was said. It counts only while there is no token.
  /// - Throws: `AccessError` that says what would be right.
  public static func decide(
    address: String, hasTokens: Bool, isInsecure: Bool = false
  ) throws(AccessError) -> StartRule {
    if isLoopback(address) { return .loopback }
    if hasTokens { return .tokens }
    if isInsecure { return .insecure }
    throw AccessError(
      """
      --listen \(address): others can reach this address, and there is no token: anybody could do anything. \
      Make a token first (trigger-host token create --scope admin), listen on 127.0.0.1, or say --insecure.
      """)
  }

  /// Whether only this machine reaches it. `localhost` is loopback by RFC 6761, section 6.3.
  static func isLoopback(_ address: String) -> Bool {
    let bare =
      address.hasPrefix("[") && address.hasSuffix("]") ? String(address.dropFirst().dropLast()) : address
    return bare.lowercased() == "localhost" || IPAddress(bare)?.isLoopback == true
  }

  /// What its owner should know when the host starts; nil when there is nothing.
  ///
  /// - Parameter hasTLS: whether the host itself encrypts.
  public func warning(address: String, hasTLS: Bool) -> String? {
    switch self {
    case .loopback, .owner: nil
    case .insecure: "--insecure: anybody who reaches \(address) may do anything"
    case .tokens where hasTLS: nil
    case .tokens:
      "\(address): without TLS anybody on the way can read tokens; say tls: in host.yaml, or have a proxy encrypt"
    }
  }
}
