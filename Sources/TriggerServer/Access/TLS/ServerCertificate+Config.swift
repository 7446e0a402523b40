import HostConfig
import TriggerCore

extension ServerCertificate {
  /// What the configuration names, read and checked; nil when it names nothing: then the host does not encrypt. Blocks for
  /// the time that the disk takes.
  ///
  /// - Throws: `ConfigProblem` with the line of `tls`, and the name of the file that cannot be used.
  package static func load(_ config: HostConfig) throws(ConfigProblem) -> ServerCertificate? {
    guard let tls = config.tls else { return nil }
    do throws(AccessError) { return try ServerCertificate(TLSFiles(tls)) } catch {
      throw ConfigProblem(file: config.file, line: tls.certificate.line, message: "tls: \(error)")
    }
  }

  /// What its owner should know of the certificate in use; nil when there is nothing.
  package func warning(at now: Timestamp) -> String? {
    let expires = expires
    if expires <= now { return "the certificate has ended (\(expires)): callers will refuse it" }
    // Who renews by itself does so long before.
    let soon = Timestamp(nanoseconds: now.nanoseconds + 7 * 86_400 * 1_000_000_000)
    return expires <= soon ? "the certificate ends soon (\(expires))" : nil
  }
}
