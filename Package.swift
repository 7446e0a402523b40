// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .treatAllWarnings(as: .error),
]
let strictC: [CSetting] = [.treatAllWarnings(as: .error)]

let package = Package(
  name: "trigger-host",
  products: [
    .library(name: "TriggerHost", targets: ["TriggerHost", "TriggerCore"]),
    .library(name: "TriggerTestKit", targets: ["TriggerTestKit"]),
    .library(
      name: "TriggerRuntime",
      targets: ["TriggerRuntime", "TriggerSQLite", "TriggerStores", "TriggerFiles"]),
    .library(name: "TriggerServer", targets: ["TriggerServer"]),
    .library(name: "TriggerReview", targets: ["TriggerReview"]),
    .executable(name: "trigger-host", targets: ["trigger-host"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // The system's Lua 5.4 (Debian: liblua5.4-dev).
    .systemLibrary(name: "CLua", pkgConfig: "lua5.4", providers: [.apt(["liblua5.4-dev"])]),
    // Our C beside Lua: sandbox, canonical encoding of Lua values, budgets, the run of one attempt.
    .target(
      name: "CTriggerLua", dependencies: ["CLua"],
      cSettings: strictC + [
        .headerSearchPath("."), .define("TH_CHECKS", .when(configuration: .debug)),
      ]),
    // Values, stores and the pure machines (queue, order, cron). No threads, no I/O, no Lua.
    .target(
      name: "TriggerCore",
      dependencies: [.product(name: "HashTreeCollections", package: "swift-collections")],
      swiftSettings: strict),
    // The one Swift target that imports Lua.
    .target(
      name: "TriggerLua", dependencies: ["TriggerCore", "CTriggerLua"], swiftSettings: strict),
    // The engine: workers, coordinator, scheduler. What embedders import.
    .target(
      name: "TriggerHost",
      dependencies: [
        "TriggerCore", "TriggerLua",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "HeapModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
      ],
      swiftSettings: strict),
    // Runs history again: state at any seq, verification, what-if.
    .target(
      name: "TriggerReplay", dependencies: ["TriggerHost", "TriggerCore", "TriggerLua"],
      swiftSettings: strict
    ),
    // For who writes scripts: lint, annotations, pages of the API, a session on a snapshot.
    .target(
      name: "TriggerWorkshop", dependencies: ["TriggerHost", "TriggerCore", "TriggerLua"],
      resources: [.embedInCode("Lua")], swiftSettings: strict),
    // What Swift does not import of glibc: file exchange, leases.
    .target(name: "CTriggerFiles", cSettings: strictC),
    // Directories: what is in them, and what changes. No engine, no database.
    .target(
      name: "TriggerFiles", dependencies: ["TriggerCore", "CTriggerFiles"], swiftSettings: strict),
    // The system's SQLite (Debian: libsqlite3-dev).
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    // The log's ports on SQLite: what a host keeps in its data directory.
    .target(
      name: "TriggerSQLite", dependencies: ["TriggerHost", "TriggerFiles", "CSQLite"],
      swiftSettings: strict),
    // Stores that others see: as tables of SQLite, as files of a directory.
    .target(
      name: "TriggerStores",
      dependencies: ["TriggerHost", "TriggerSQLite", "TriggerFiles", "CSQLite"],
      swiftSettings: strict),
    // A disk in memory that fails: for tests and simulation only.
    .target(
      name: "CFaultVFS", dependencies: ["CSQLite"], cSettings: strictC,
      linkerSettings: [.linkedLibrary("sqlite3")]),
    // The engine and its log under one seed: interleavings, crashes, failing disks, and what checks them.
    .target(
      name: "TriggerSimulation",
      dependencies: [
        "TriggerHost", "TriggerReplay", "TriggerRuntime", "TriggerSQLite", "CFaultVFS",
        "TestSupport",
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "trigger-simulate",
      dependencies: [
        "TriggerSimulation", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Sources/TriggerSimulationCLI", swiftSettings: strict),
    // For the tests of those who build on TriggerHost: a host on a clock set by hand, contracts of backends.
    // Tests of Lua scripts, too.
    .target(
      name: "TriggerTestKit",
      dependencies: ["TriggerHost", "TriggerWorkshop", "TriggerLua", "TriggerRuntime"],
      resources: [.embedInCode("Lua")],
      swiftSettings: strict),
    // host.yaml, cron files, feeds: text in, checked values or file:line: messages out.
    .target(
      name: "HostConfig", dependencies: ["TriggerHost", "TriggerFiles", "Yams"],
      swiftSettings: strict),
    // A host: configuration, log, engine, feeds, schedules, scripts that are followed.
    .target(
      name: "TriggerRuntime",
      dependencies: [
        "TriggerHost", "TriggerSQLite", "TriggerStores", "TriggerFiles", "HostConfig",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: strict),
    // A running host on the network: HTTP and WebSocket, and who may come in.
    .target(
      name: "TriggerServer",
      dependencies: [
        "TriggerRuntime", "TriggerReplay", "TriggerHost", "TriggerCore", "TriggerFiles", "HostConfig",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "HeapModule", package: "swift-collections"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdTLS", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
        .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      resources: [.embedInCode("Pages")], swiftSettings: strict),
    // Judges scripts that are saved while a host runs: what needs the workshop and replay, which a host does not.
    .target(
      name: "TriggerReview",
      dependencies: [
        "TriggerRuntime", "TriggerHost", "TriggerReplay", "TriggerWorkshop", "TriggerSQLite",
        "HostConfig",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "trigger-host",
      dependencies: [
        "TriggerServer", "TriggerReview", "TriggerRuntime", "TriggerHost", "TriggerReplay",
        "TriggerWorkshop",
        "TriggerSQLite",
        "TriggerStores",
        "TriggerFiles", "HostConfig", "TriggerTestKit",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Sources/TriggerHostCLI", swiftSettings: strict),
    // A program around a host, which the tests run on a clock of their own: `swift run car-park`.
    .executableTarget(
      name: "car-park",
      dependencies: [
        "TriggerRuntime", "TriggerHost", "TriggerCore",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      path: "examples/embedder/Sources", swiftSettings: strict),
    // What tests of several targets, and the simulation, share.
    .target(
      name: "TestSupport", dependencies: ["TriggerCore"], path: "Tests/TestSupport",
      swiftSettings: strict),
    .testTarget(
      name: "TriggerCoreTests", dependencies: ["TriggerCore", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "TriggerLuaTests", dependencies: ["TriggerCore", "TriggerLua"], swiftSettings: strict),
    .testTarget(
      name: "TriggerHostTests",
      dependencies: [
        "TriggerHost", "TriggerReplay", "TriggerWorkshop", "TriggerTestKit", "TriggerLua",
        "TestSupport",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "TriggerFilesTests", dependencies: ["TriggerFiles", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "TriggerSQLiteTests",
      dependencies: ["TriggerSQLite", "TriggerReplay", "TriggerTestKit", "TestSupport"],
      exclude: ["Fixtures"], swiftSettings: strict),
    .testTarget(
      name: "TriggerStoresTests",
      dependencies: [
        "TriggerStores", "TriggerSQLite", "TriggerTestKit", "TestSupport", "file-probe",
      ],
      swiftSettings: strict),
    // A program that TriggerStoresTests kill in the middle of a write-out, and that measures directories:
    // `swift run -c release file-probe measure`.
    .executableTarget(
      name: "file-probe", dependencies: ["TriggerStores"], path: "Tests/FileProbe",
      swiftSettings: strict),
    .testTarget(
      name: "HostConfigTests", dependencies: ["HostConfig", "TriggerWorkshop", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "TriggerRuntimeTests",
      dependencies: [
        "car-park", "TriggerReview", "TriggerRuntime", "TriggerCore", "TriggerHost", "HostConfig",
        .product(name: "MetricsTestKit", package: "swift-metrics"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "TriggerServerTests",
      dependencies: [
        "TriggerServer", "TriggerRuntime", "TriggerHost", "TriggerCore", "HostConfig",
        "TestSupport",
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "HummingbirdTesting", package: "hummingbird"),
        .product(name: "MetricsTestKit", package: "swift-metrics"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOEmbedded", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "CommandLineTests",
      dependencies: [
        "trigger-host", "HostConfig", "TriggerCore", "TriggerFiles", "TriggerHost",
        "TriggerRuntime",
        "TriggerSQLite",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "SimulationTests",
      dependencies: [
        "CFaultVFS", "CSQLite", "TriggerCore", "TriggerSimulation", "trigger-simulate",
      ],
      swiftSettings: strict),
  ]
)
