/// A store was used wrongly, for example before it was registered.
public struct StoreError: Error, CustomStringConvertible {
  /// The message for people. It names the store and says what was wrong.
  public let description: String
  package init(_ description: String) { self.description = description }
}
