import TriggerCore

/// Finds values by names that are given as bytes. It makes a string of a name only the first time.
package struct NameCache<Found> {
  private var known: [(name: [UInt8], found: Found)] = []

  package init() {}

  @inline(__always)
  package mutating func value(of name: UnsafeRawBufferPointer, _ find: (String) throws -> Found) rethrows
    -> Found
  {
    for index in known.indices.reversed() where known[index].name.elementsEqual(name) {
      return known[index].found
    }
    let found = try find(name.utf8Text)
    if known.count == 64 { known.removeAll() }
    known.append((Array(name), found))
    return found
  }
}
