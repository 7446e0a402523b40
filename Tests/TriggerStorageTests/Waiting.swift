import Testing

/// Yields until it holds.
///
/// - Throws: when it does not in minutes, however busy the machine is; a test that waited for ever would say nothing.
func wait(
  for what: String, at place: SourceLocation = #_sourceLocation, until holds: () throws -> Bool
) async throws {
  let late = ContinuousClock.now + .seconds(300)
  while try !holds() {
    try #require(ContinuousClock.now < late, "waited in vain for \(what)", sourceLocation: place)
    await Task.yield()
  }
}
