import Foundation
import HostConfig
import TriggerCore
import TriggerHost

/// One thing that is wrong or doubtful, as people read it: `file:line: message`.
package struct Finding {
  package enum Severity: String { case error, warning, note }

  package var severity: Severity
  package var file: String
  /// Nil: the whole file.
  package var line: Int?
  /// `file:line: message`; a warning or note says so behind the place.
  package var text: String

  package var isError: Bool { severity == .error }
  /// `message` is the whole text; without a line it is about the whole file.
  package var json: Value {
    var object: Value.Map = [
      "severity": .string(severity.rawValue), "file": .string(file), "message": .string(text),
    ]
    if let line { object["line"] = .int(Int64(line)) }
    return .map(object)
  }

  package init(_ problem: ConfigProblem) {
    (severity, text) = (problem.severity == .error ? .error : .warning, "\(problem)")
    (file, line) = (problem.file, problem.line)
  }

  /// What is said of a line; a warning or note says so.
  package init(_ severity: Severity, _ file: String, line: Int, _ message: String) {
    (self.severity, self.file, self.line) = (severity, file, line)
    text = "\(file):\(line): \(severity == .error ? "" : "\(severity): ")\(message)"
  }

  /// - Parameter directory: what the script's path counts from.
  package init(_ problem: ScriptTree.Problem, in directory: String) {
    severity = problem.severity == .error ? .error : .warning
    let lines = problem.description.withoutIdleTraceback.split(separator: "\n", maxSplits: 1)
    let frames = lines.count > 1 ? "\n" + ScriptPlaces(root: directory).named(String(lines[1])) : ""
    text = FilePath.join(directory, String(lines[0])) + frames
    let parts = lines[0].split(separator: ":", maxSplits: 2)
    (file, line) = (FilePath.join(directory, String(parts[0])), parts.count > 1 ? Int(parts[1]) : nil)
    if !isError, let place = text.range(of: ": ") {
      text.insert(contentsOf: "warning: ", at: place.upperBound)
    }
  }
}

extension [Finding] {
  /// By line within each file; files in the order in which they are first named.
  package var byFile: [Finding] { orderedByFile(self) { ($0.file, $0.line) } }
}
