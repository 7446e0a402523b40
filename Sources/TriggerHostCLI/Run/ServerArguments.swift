import ArgumentParser
import HostConfig
import Logging
import TriggerServer

/// Where a host takes requests.
struct ServerArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Take requests at this address, such as 127.0.0.1:8080; port 0: any that is free.",
      valueName: "host:port"))
  var listen: ListenAddress?
  @Flag(help: "Listen on an address that others reach, though anyone may do everything there.")
  var insecure = false

  /// Nil: nobody listens.
  ///
  /// - Throws: `ValidationError` for an address that must not be open.
  /// - Parameter data: the data directory that wins over the configuration's.
  func options(_ config: HostConfig, data: String?) throws -> ServerOptions? {
    guard let address = listen ?? config.listen else {
      if insecure { throw ValidationError("--insecure goes with --listen, or listen in host.yaml") }
      return nil
    }
    var options = ServerOptions()
    (options.host, options.port, options.isInsecure) = (address.host, address.port, insecure)
    options.stopTimeout = config.stopTimeout
    options.settings = AccessSettings(config)
    options.tokens = TokenFiles(of: config, data: data)
    do {
      options.certificate = try ServerCertificate.load(config)
      if let warning = try options.decide() { Output.say(.warning, "warning: \(warning)") }
    } catch { throw ValidationError("\(error)") }
    return options
  }
}

extension ListenAddress: ExpressibleByArgument {
  package init?(argument: String) { try? self.init(parsing: argument) }
}

extension CannotListen: ExpectedFailure {}
