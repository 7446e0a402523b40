import Foundation
import TriggerLua

/// The versions of everything outside the log that a run depends on. Each start logs them, so that a replay on
/// another machine can say what is different there.
public enum EnvironmentVersions {
  /// `Lua 5.4.4; glibc 2.36; tz 2024a`.
  public static var text: String {
    "\(LuaWorker.release); \(LuaWorker.libraryRelease); tz \(TimeZone.timeZoneDataVersion)"
  }

  /// `Lua 5.4.4 (guards: stacks, handlers, code, names)`: the faults of this Lua that the engine guards against.
  ///
  /// Not part of `text`, because a guard changes no result that Lua's manual promises.
  public static var lua: String {
    let guards = LuaWorker.guards
    return guards.isEmpty
      ? "\(LuaWorker.release) (no guards needed)" : "\(LuaWorker.release) (guards: \(guards))"
  }
}
