/// Seqs in messages: one is not several. Of what a damaged log says, too, so the ends may be any numbers.
package enum SeqText {
  /// `seq 3`, or `seqs 3 to 5`.
  package static func of(_ first: Int64, _ last: Int64) -> String {
    first == last ? "seq \(first)" : "seqs \(first) to \(last)"
  }

  /// `seq 3 is missing`, or `seqs 3 to 5 are missing`.
  package static func missing(_ first: Int64, _ last: Int64) -> String {
    "\(of(first, last)) \(first == last ? "is" : "are") missing"
  }
}
