import Glibc
import NIOCore

/// The address of a peer. IPv4 inside IPv6 (`::ffff:192.0.2.1`) is IPv4.
public enum IPAddress: Hashable, Sendable {
  /// The four bytes, highest first.
  case v4(UInt32)
  /// The network's and the interface's half, highest byte first.
  case v6(UInt64, UInt64)

  /// The address that `text` writes, without brackets, port or zone; nil for anything else, such as a name.
  public init?(_ text: String) {
    var four = in_addr()
    var six = in6_addr()
    // C would end the text there.
    if text.utf8.contains(0) { return nil }
    if inet_pton(AF_INET, text, &four) == 1 {
      self = .v4(UInt32(bigEndian: four.s_addr))
    } else if inet_pton(AF_INET6, text, &six) == 1 {
      self.init(six)
    } else {
      return nil
    }
  }

  /// The address of a socket; nil for one that has no IP address.
  public init?(_ socket: SocketAddress) {
    switch socket {
    case .v4(let address): self = .v4(UInt32(bigEndian: address.address.sin_addr.s_addr))
    case .v6(let address): self.init(address.address.sin6_addr)
    case .unixDomainSocket: return nil
    }
  }

  private init(_ six: in6_addr) {
    let (high, low) = withUnsafeBytes(of: six) { bytes in
      (
        UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
        UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      )
    }
    self = high == 0 && low >> 32 == 0xFFFF ? .v4(UInt32(truncatingIfNeeded: low)) : .v6(high, low)
  }

  /// Whether it is this machine's own (RFC 1122, section 3.2.1.3; RFC 4291, section 2.5.3).
  public var isLoopback: Bool {
    switch self {
    case .v4(let bytes): bytes >> 24 == 127
    case .v6(let high, let low): high == 0 && low == 1
    }
  }

  /// Who counts as one for limits: an IPv4 address, and the whole /64 of an IPv6 address, which one customer has
  /// (RFC 6177, section 2).
  public var network: IPAddress {
    if case .v6(let high, _) = self { .v6(high, 0) } else { self }
  }
}
