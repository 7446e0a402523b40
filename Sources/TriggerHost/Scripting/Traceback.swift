extension String {
  /// A traceback without the lines that name a chunk of ours, and what called that.
  package func withoutFrames(of chunk: String) -> String {
    var lines = split(separator: "\n", omittingEmptySubsequences: false).filter {
      !$0.hasPrefix("\t\(chunk)")
    }
    while let last = lines.last, last == "\t[C]: in ?" || last == "stack traceback:" { lines.removeLast() }
    return lines.joined(separator: "\n")
  }
}
