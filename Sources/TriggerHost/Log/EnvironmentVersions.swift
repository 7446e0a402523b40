import Foundation
import TriggerLua

/// The versions of everything outside the log that a run depends on: logged at each start, so that a replay
/// elsewhere can say what is different there.
public enum EnvironmentVersions {
  /// `Lua 5.4.4; glibc 2.36; tz 2024a`.
  public static var text: String {
    "\(LuaWorker.release); \(LuaWorker.libraryRelease); tz \(TimeZone.timeZoneDataVersion)"
  }
}
