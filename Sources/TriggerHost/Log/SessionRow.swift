/// A session as the log keeps it, beside the records that its messages are made of.
package struct SessionRow: Sendable, Hashable {
  /// The name under which the log keeps up to which seq the rows are: that of a receiver (`LogJob.confirmed`).
  package static let receiver = "$sessions"

  package var id: String
  /// What whoever keeps sessions makes of one.
  package var state: [UInt8]

  package init(id: String, state: [UInt8]) { (self.id, self.state) = (id, state) }
}
