extension String {
  /// A traceback without the lines that name a chunk of ours, and what called that.
  package func withoutFrames(of chunk: String) -> String {
    var lines = split(separator: "\n", omittingEmptySubsequences: false).filter {
      !$0.hasPrefix("\t\(chunk)")
    }
    while let last = lines.last, last == "\t[C]: in ?" || last == "stack traceback:" { lines.removeLast() }
    return lines.joined(separator: "\n")
  }

  /// Without a traceback that names no place but the one at the beginning of the message.
  package var withoutIdleTraceback: String {
    guard let head = firstRange(of: "\nstack traceback:\n") else { return self }
    let message = self[..<head.lowerBound]
    let places = self[head.upperBound...].split(separator: "\n").map { $0.drop { $0 == "\t" } }
      .filter { !$0.hasPrefix("[C]: ") && $0 != "(...tail calls...)" }
    let names = places.allSatisfy { place in
      place.firstRange(of: ": in ").map { message.hasPrefix("\(place[..<$0.lowerBound]): ") } ?? false
    }
    return names ? String(message) : self
  }
}
