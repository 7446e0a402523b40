/// A store was used in a way it cannot be.
public struct StoreError: Error, CustomStringConvertible {
  /// Names the store and says what was wrong.
  public let description: String
  package init(_ description: String) { self.description = description }
}
