/// Finds values by names that are given as bytes. It makes a string of a name only the first time.
struct NameCache<Found> {
  private var places = NamePlaces()
  private var known: [Found] = []

  @inline(__always)
  mutating func value(of name: UnsafeRawBufferPointer, _ find: (String) throws -> Found) rethrows -> Found {
    if let place = places.place(of: name) { return known[place] }
    let found = try find(name.utf8Text)
    known.removeSubrange(places.add(name)...)
    known.append(found)
    return found
  }
}

/// Gives names places from 0 on, and finds them again. At most 64; then it begins anew.
///
/// Other modules use this one. They would look up the types of a generic package type at run time, with each record.
package struct NamePlaces {
  private var names: [[UInt8]] = []

  package init() {}

  /// Nil: it has none. O(names).
  package func place(of name: UnsafeRawBufferPointer) -> Int? {
    names.lastIndex { $0.elementsEqual(name) }
  }

  /// - Parameter name: one that has no place.
  /// - Returns: its place; no other name has that place or a later one.
  package mutating func add(_ name: UnsafeRawBufferPointer) -> Int {
    if names.count == 64 { names.removeAll() }
    names.append(Array(name))
    return names.count - 1
  }
}
