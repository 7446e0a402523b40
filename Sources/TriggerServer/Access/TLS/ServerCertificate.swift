import Dispatch
import HostConfig
import NIOSSL
import Synchronization
import TriggerCore
import TriggerFiles

/// The files that a host encrypts with, all PEM.
public struct TLSFiles: Hashable, Sendable {
  /// The host's certificate, and after it those that lead to one that callers know.
  public var certificate: String
  /// The private key of the host's certificate, without a passphrase.
  public var key: String
  /// Who signs the certificates that callers must show; nil: they need none.
  public var clientCA: String?

  /// - Parameter certificate: path of the host's certificate and its chain.
  /// - Parameter key: path of its private key.
  /// - Parameter clientCA: path of the certificates of who signs those of callers; nil: callers need none.
  public init(certificate: String, key: String, clientCA: String? = nil) {
    self.certificate = certificate
    self.key = key
    self.clientCA = clientCA
  }

  package init(_ tls: HostConfig.TLS) {
    self.init(certificate: tls.certificate.resolved, key: tls.key.resolved, clientCA: tls.clientCA?.resolved)
  }
}

/// What a host encrypts with: read and checked before it listens, and again whenever the files change. Connections that
/// are open keep what they have; each new one gets the newest pair that is whole. Any thread.
public final class ServerCertificate: Sendable {
  private struct State {
    var pair: CertificatePair
    var watch: CertificateWatch
    /// Ends the looking, while there is some.
    var end: (@Sendable () -> Void)?
  }
  private let files: TLSFiles
  private let clientCAs: [NIOSSLCertificate]
  private let state: Mutex<State>
  /// How often the files are looked at. Whoever renews a certificate does so days before it ends.
  private static let lookInterval = DispatchTimeInterval.seconds(1)

  /// Reads the files. Blocks for the time that the disk takes.
  ///
  /// - Throws: `AccessError` with the file's name when one cannot be used, or the key is not that of the certificate.
  public init(_ files: TLSFiles) throws(AccessError) {
    self.files = files
    // Before they are read: a change in between shows at the next look.
    let watch = CertificateWatch(CertificateWatch.Look(files))
    clientCAs =
      try files.clientCA.map { path throws(AccessError) in try CertificatePair.certificates(path) } ?? []
    let pair = try CertificatePair(files)
    state = Mutex(State(pair: pair, watch: watch, end: nil))
  }

  deinit { stop() }

  /// For `HummingbirdTLS`, or any other server on NIO. It goes on giving the newest pair.
  ///
  /// - Parameter protocols: what is offered by ALPN (RFC 7301).
  public func configuration(protocols: [String] = ["http/1.1"]) -> TLSConfiguration {
    var configuration = state.withLock { $0.pair }.configuration
    configuration.applicationProtocols = protocols
    if !clientCAs.isEmpty {
      configuration.trustRoots = .certificates(clientCAs)
      // Demands a certificate, and checks who signed it: callers have no host names.
      configuration.certificateVerification = .noHostnameVerification
    }
    configuration.sslContextCallback = { [self] _, promise in
      promise.succeed(state.withLock { $0.pair.override })
    }
    return configuration
  }

  /// Looks at the files from now on, once a second.
  ///
  /// - Parameter report: what became of a change: nil when the new pair is in use, or why the old one stays. Called on a
  ///   thread that may block.
  public func start(_ report: @escaping @Sendable (AccessError?) -> Void) {
    // Dispatch lets any thread use its sources.
    nonisolated(unsafe) let timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "certificate"))
    timer.schedule(
      deadline: .now() + Self.lookInterval, repeating: Self.lookInterval, leeway: .milliseconds(200))
    timer.setEventHandler { [weak self] in self?.look(report) }
    stop()
    state.withLock { $0.end = { timer.cancel() } }
    timer.resume()
  }

  /// Looks no more. Safe before `start`, and twice.
  public func stop() {
    let end = state.withLock { state in
      defer { state.end = nil }
      return state.end
    }
    end?()
  }

  /// One look at the files. One thread at a time.
  func look(_ report: (AccessError?) -> Void) {
    let look = CertificateWatch.Look(files)
    guard state.withLock({ $0.watch.shouldRead(after: look) }) else { return }
    do throws(AccessError) {
      let pair = try CertificatePair(files)
      state.withLock { $0.pair = pair }
      report(nil)
    } catch { report(error) }
  }

  /// When the certificate in use ends.
  public var expires: Timestamp { state.withLock { $0.pair.expires } }
}

/// A certificate and its key, which belong together.
struct CertificatePair: Sendable {
  private let chain: [NIOSSLCertificate]
  private let key: NIOSSLPrivateKey

  init(_ files: TLSFiles) throws(AccessError) {
    chain = try Self.certificates(files.certificate)
    key = try Self.key(files.key)
    // BoringSSL compares the two when both are set.
    do { _ = try NIOSSLContext(configuration: configuration) } catch {
      throw AccessError(
        "\(files.key): is not the key of \(files.certificate), whose first certificate must be the host's own, or of a kind that TLS does not take (\(error))"
      )
    }
  }

  var configuration: TLSConfiguration {
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
    // RFC 8996: nothing before 1.2.
    configuration.minimumTLSVersion = .tlsv12
    return configuration
  }

  var override: NIOSSLContextConfigurationOverride {
    var change = NIOSSLContextConfigurationOverride()
    change.certificateChain = chain.map { .certificate($0) }
    change.privateKey = .privateKey(key)
    return change
  }

  var expires: Timestamp {
    Timestamp(
      nanoseconds: Int64(chain[0].notValidAfter).multipliedReportingOverflow(by: 1_000_000_000).partialValue)
  }

  static func certificates(_ path: String) throws(AccessError) -> [NIOSSLCertificate] {
    let bytes = try read(path)
    guard let found = try? NIOSSLCertificate.fromPEMBytes(bytes), !found.isEmpty else {
      throw AccessError(
        "\(path): has no certificate that can be read; expected PEM, -----BEGIN CERTIFICATE-----")
    }
    return found
  }

  private static func key(_ path: String) throws(AccessError) -> NIOSSLPrivateKey {
    let bytes = try read(path)
    guard let key = try? NIOSSLPrivateKey(bytes: bytes, format: .pem) else {
      throw AccessError(
        "\(path): has no private key that can be read; expected PEM, -----BEGIN PRIVATE KEY-----, without a passphrase"
      )
    }
    return key
  }

  private static func read(_ path: String) throws(AccessError) -> [UInt8] {
    switch readFile(path, cap: 1 << 20) {
    case .content(let bytes, _): return bytes
    case .absent: throw AccessError("\(path): cannot be read: no such file")
    case .torn: throw AccessError("\(path): is being written")
    case .problem(let text): throw AccessError("\(path): \(text)")
    }
  }
}

/// When changed files are worth reading: a certificate and its key are written one after the other, so only once nothing
/// has changed between two looks. A pure machine.
struct CertificateWatch: Sendable {
  /// What the system says of the two files.
  struct Look: Hashable, Sendable {
    var certificate: FileStatus?
    var key: FileStatus?

    init(_ files: TLSFiles) {
      certificate = FileStatus.of(files.certificate)
      key = FileStatus.of(files.key)
    }
  }

  private var taken: Look
  private var last: Look

  init(_ first: Look) { (taken, last) = (first, first) }

  mutating func shouldRead(after look: Look) -> Bool {
    let isSettled = look == last
    last = look
    guard isSettled, look != taken else { return false }
    taken = look
    return true
  }
}
