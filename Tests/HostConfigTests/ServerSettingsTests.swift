import Testing

import HostConfig

/// What `host.yaml` says about who may come in over the network.
@Suite struct ServerSettingsTests {
  private func parse(_ text: String) -> HostConfig.Loaded {
    HostConfig.parse(text: text, file: "conf/host.yaml")
  }

  @Test func allOfIt() throws {
    let loaded = parse(
      """
      host_names: [Host.Example, "[2001:db8::1]"]
      cors: [https://app.example, "http://localhost:5173"]
      tls: { certificate: tls/host.pem, key: /etc/host.key, client_ca: ca.pem }
      server_limits:
        connections: 10
        address_connections: 2
        header: 8kb
        header_time: 1s
        body: 1gb
        body_time: 2s
        idle_time: 3s
        message: 2kb
        ping_time: 4s
        token_rate: 100
        address_rate: none
      """)
    #expect(loaded.report.problems.isEmpty, "\(loaded.report)")
    let config = loaded.config
    #expect(config.hostNames == ["host.example", "[2001:db8::1]"])
    #expect(config.cors.map(\.description) == ["https://app.example", "http://localhost:5173"])
    let tls = try #require(config.tls)
    #expect(tls.certificate.resolved == "conf/tls/host.pem" && tls.key.resolved == "/etc/host.key")
    #expect(tls.clientCA?.resolved == "conf/ca.pem" && tls.clientCA?.line == 3)
    var limits = HostConfig.ServerLimits()
    (limits.connections, limits.addressConnections, limits.header, limits.body) = (10, 2, 8 << 10, 1 << 30)
    (limits.headerTime, limits.bodyTime, limits.idleTime) = (.seconds(1), .seconds(2), .seconds(3))
    (limits.message, limits.pingTime) = (2 << 10, .seconds(4))
    (limits.tokenRate, limits.addressRate) = (100, nil)
    #expect(config.serverLimits == limits)
    let changed = config.keysThatDiffer(from: parse("").config)
    #expect(changed == ["cors", "host_names", "server_limits", "tls"])
  }

  @Test(arguments: [
    (
      "cors: '*'",
      ["1: cors: expected an origin, scheme, host and port alone, like https://app.example.org, got `*`"]
    ),
    (
      "cors: [https://a.example/, a.example, 'null', {}, 'https://*.example', 'https://a.example:0']",
      [
        "`https://a.example/`", "`a.example`", "`null`", "a mapping", "`https://*.example`",
        "`https://a.example:0`",
      ].map {
        "1: cors: expected an origin, scheme, host and port alone, like https://app.example.org, got \($0)"
      }
    ),
    (
      "host_names: [a.example:80, 'a b', '']",
      ["`a.example:80`", "`a b`", "nothing"].map {
        "1: host_names: expected a name without port, like host.example.org, got \($0)"
      }
    ),
    ("tls: { certificate: a.pem }", ["1: tls: needs key, a PEM file"]),
    ("tls: {}", ["1: tls: needs certificate, a PEM file", "1: tls: needs key, a PEM file"]),
    (
      "tls: { cert: a, certificate: b, key: c }",
      ["1: unknown key `tls.cert`; known here: certificate, key, client_ca"]
    ),
    (
      """
      { server_limits: { token_rate: 0, address_rate: any, header: 1mb, body: 1, connections: 0,
      idle_time: 0s, rate: 1 } }
      """,
      [
        "1: server_limits.token_rate: expected none or a whole number from 1 to 10000000, per second, got `0`",
        "1: server_limits.address_rate: expected none or a whole number from 1 to 10000000, per second, got `any`",
        "1: server_limits.header: expected 1kb to 64kb, got 1mb",
        "1: server_limits.body: expected 1kb to 1gb, got 1b",
        "1: server_limits.connections: expected a whole number from 1 to 1000000, got `0`",
        "2: server_limits.idle_time: expected a time span above 0 such as 250ms, 2s, 5m or 1h, got `0s`",
        "2: unknown key `server_limits.rate`",
      ]
    ),
  ])
  func isRefused(_ text: String, _ problems: [String]) {
    let found = parse(text).report.problems.map(\.description)
    #expect(found.count == problems.count, "\(found)")
    for problem in problems {
      #expect(found.contains { $0.hasPrefix("conf/host.yaml:" + problem) }, "\(problem) in \(found)")
    }
  }

  @Test func filesThatAreNotThereAreNamed() throws {
    let directory = try TemporaryDirectory()
    try directory.write("triggers/a.lua", "")
    let path = try directory.write(
      "host.yaml", "tls: { certificate: a.pem, key: triggers, client_ca: c.pem }\n")
    let problems = HostConfig.load(path: path).report.problems.map(\.message)
    #expect(
      problems == [
        "certificate `a.pem` cannot be used: no such file or directory",
        "key `triggers` is not a regular file but a directory",
        "client_ca `c.pem` cannot be used: no such file or directory",
      ])
  }

  @Test(arguments: [
    ("https://a.example", "https://a.example"), ("HTTPS://A.Example:443", "https://a.example"),
    ("http://a.example:80", "http://a.example"), ("https://a.example:80", "https://a.example:80"),
    ("http://[::1]:8080", "http://[::1]:8080"), ("http://127.0.0.1:65535", "http://127.0.0.1:65535"),
    ("https://", nil), ("https://a.example:", nil), ("https://a.example:65536", nil),
    ("https://a.example:+1", nil),
    ("https://a:b@c.example", nil), ("ftp://a.example", nil), ("https:/a.example", nil),
    ("https://[::1", nil),
    ("https://[]", nil), ("https://a.example#x", nil), ("https://é.example", nil), ("null", nil), ("", nil),
    ("https://a.example, https://b.example", nil), ("http://[::1]x", nil),
  ])
  func origins(_ text: String, _ shown: String?) {
    #expect(WebOrigin(parsing: text)?.description == shown)
  }
}
