/// Decimal digits and the letters behind them, as in `250ms` and `64mb`.
struct NumberWithUnit {
  var number: Int64
  /// As written; empty if digits or nothing follow the number.
  var unit: String

  /// Takes one from the front of `text`; nil, with `text` in any state, if it does not start with
  /// digits or the number is beyond Int64.
  init?(takenFrom text: inout Substring.UTF8View) {
    let digits = text.prefix { (48...57).contains($0) }
    guard !digits.isEmpty, let number = Int64(Substring(digits)) else { return nil }
    text = text.dropFirst(digits.count)
    let letters = text.prefix { (65...90).contains($0) || (97...122).contains($0) }
    text = text.dropFirst(letters.count)
    self.number = number
    self.unit = String(Substring(letters))
  }
}

/// `text` in double quotes for a message, at most 40 characters of it.
func quoted(_ text: String) -> String {
  let shown = text.count > 40 ? String(text.prefix(40)) + "…" : text
  return JSONWriter.describe(.string(shown))
}
