import Foundation

/// With a comma every three digits: `1,234`.
package func grouped(_ count: Int) -> String {
  var digits = String(count)
  var groups: [String] = []
  while digits.count > 3 {
    groups.insert(String(digits.suffix(3)), at: 0)
    digits.removeLast(3)
  }
  return ([digits] + groups).joined(separator: ",")
}

/// `1 trigger`, `2 triggers`.
package func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

/// `512 bytes`, `12.3 MB`.
package func sizeText(_ bytes: Int) -> String {
  var (size, unit) = (Double(bytes), 0)
  let units = ["bytes", "kB", "MB", "GB", "TB"]
  while size >= 1000, unit < units.count - 1 {
    size /= 1000
    unit += 1
  }
  return unit == 0 ? "\(bytes) bytes" : String(format: "%.1f %@", size, units[unit])
}
