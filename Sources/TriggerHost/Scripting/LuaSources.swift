/// Lua text that is part of this program, from the folder `Lua`.
package enum LuaSources {
  /// Returns the function `show(value, width)`: any value as Lua text for people.
  package static var show: [UInt8] { PackageResources.show_lua }
}
