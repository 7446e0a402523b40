/// Who waited for something that did not come.
package struct WaitedInVain: Error, CustomStringConvertible {
  package let description: String
}

/// Yields until it holds.
///
/// - Throws: `WaitedInVain` when it does not in minutes, however busy the machine is; a test that waited for ever would say
///   nothing.
package func wait(
  for what: String, file: StaticString = #fileID, line: UInt = #line, until holds: () throws -> Bool
) async throws {
  let late = ContinuousClock.now + .seconds(300)
  while try !holds() {
    if ContinuousClock.now >= late {
      throw WaitedInVain(description: "\(file):\(line): waited in vain for \(what)")
    }
    await Task.yield()
  }
}
