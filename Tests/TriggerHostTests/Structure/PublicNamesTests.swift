import Foundation
import Testing

/// What the libraries offer is used by somebody here: by a test, or by an example.
@Suite struct PublicNamesTests {
  private static let root = URL(filePath: #filePath).appending(path: "../../../..").standardized

  /// Targets that programs can import, with everything that a host can do.
  private static let offered = [
    "TriggerCore", "TriggerHost", "TriggerTestKit", "TriggerRuntime", "TriggerSQLite", "TriggerStores",
    "TriggerFiles", "TriggerReview",
  ]

  private static func texts(below folder: String) throws -> [(path: String, text: String)] {
    let directory = root.appending(path: folder)
    let paths = try FileManager.default.subpathsOfDirectory(atPath: directory.path).sorted()
    return try paths.filter { $0.hasSuffix(".swift") }.map { path in
      ("\(folder)/\(path)", try String(contentsOf: directory.appending(path: path), encoding: .utf8))
    }
  }

  /// Names that lines of a file declare `public`; not cases of enums, which have no such word.
  static func declared(in text: String) -> Set<String> {
    let declaration =
      #/^\s*(?:@\w+(?:\([^)]*\))?\s+)*public\s+(?:[a-z]+(?:\([a-z]+\))?\s+)*?(?:func|var|let|struct|class|enum|protocol|typealias)\s+`?([A-Za-z]\w*)/#
    return Set(
      text.split(separator: "\n").compactMap { line in
        (try? declaration.firstMatch(in: line)).map { String($0.output.1) }
      })
  }

  /// Every word that is no comment.
  static func used(in text: String) -> Set<String> {
    var words: Set<String> = []
    for line in text.split(separator: "\n") {
      let code = line.range(of: "//").map { line[..<$0.lowerBound] } ?? line[...]
      for word in code.split(whereSeparator: { !($0.isLetter || $0.isNumber || $0 == "_") }) {
        words.insert(String(word))
      }
    }
    return words
  }

  @Test func everyPublicNameIsUsed() throws {
    var used: Set<String> = []
    for folder in ["Tests", "examples"] {
      for file in try Self.texts(below: folder) { used.formUnion(Self.used(in: file.text)) }
    }
    var count = 0
    for target in Self.offered {
      for file in try Self.texts(below: "Sources/\(target)") {
        let declared = Self.declared(in: file.text)
        count += declared.count
        let unused = declared.subtracting(used).sorted()
        #expect(unused.isEmpty, "\(file.path): no test and no example uses \(unused)")
      }
    }
    #expect(count > 500, "the sources are not where they were")
  }

  @Test func everyTargetIsInAProduct() throws {
    let package = try String(contentsOf: Self.root.appending(path: "Package.swift"), encoding: .utf8)
    let products = package.components(separatedBy: "products: [")[1].components(
      separatedBy: "dependencies: [")[0]
    for target in Self.offered { #expect(products.contains("\"\(target)\""), "\(target) is in no library") }
  }

  /// The reader of declarations, on a piece of them.
  @Test func whatIsDeclaredAndUsed() {
    let declared = Self.declared(
      in: """
        public struct A: B {
          @discardableResult public static func make(_ x: Int) -> A {
          public internal(set) var count = 1
          public let `default`: Int
          package var hidden = 1
          /// public var written = 1
        """)
    #expect(declared == ["A", "make", "count", "default"])
    #expect(Self.used(in: "a.b(c) // d\n\"e\"") == ["a", "b", "c", "e"])
  }
}
