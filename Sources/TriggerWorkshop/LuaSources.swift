import TriggerCore
import TriggerHost

/// Lua text that is part of this program, from the folder `Lua`.
package enum LuaSources {
  /// Returns the function `show(value, width)`: any value as Lua text for people.
  package static var show: [UInt8] { PackageResources.show_lua }
  /// A prelude after the function `show`: what sessions begin with.
  package static func prelude(_ text: [UInt8]) -> [UInt8] {
    Array("local show = (function() ".utf8) + show + Array("\nend)()\n".utf8) + text
  }
}
