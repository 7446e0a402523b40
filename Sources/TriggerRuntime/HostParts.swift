import HostConfig
import TriggerHost
import TriggerSQLite

/// What a host is made of, whatever stage it is in.
struct HostParts: Sendable {
  let config: HostConfig
  let options: HostOptions
  let notices: Notices
  let coordinator: CommitCoordinator
  let queue: TriggerQueue
  let files: FileStores
  /// Ends what waits for the end of a host, with the reason when the log has failed.
  let endSignal: EndSignal
  /// Reads the configuration anew, for schedules that are saved while the host runs.
  let reading: @Sendable () -> HostConfig.Loaded?
  /// Nil when nobody could read it: nothing is kept, or a program keeps it.
  var log: HostLog?
  /// Nothing runs by itself: `SteppedHost`.
  var isStepped = false
}

extension HostParts {
  /// What of the engine is said from the beginning.
  func observe(_ directory: DataDirectory?) {
    coordinator.whenFailed { [notices, endSignal] reason in
      // Nothing unwritten has been acknowledged; going on would only pile up work that cannot count.
      notices.problem(Self.text(of: reason, directory), code: .logFailed)
      endSignal.logFailed(reason)
    }
    coordinator.whenClockSteps { [notices] in
      notices.warning(
        "\($0); spans go on as they were, what happens at wall times goes by the new one", code: .clock)
    }
    coordinator.whenStuck { [notices] notice in
      if case .lifted = notice {
        notices.say(.info, "\(notice)", code: .stuck)
      } else {
        notices.problem("\(notice)", code: .stuck)
      }
    }
  }

  /// Why the log takes no more records, and what to do.
  private static func text(of failure: LogFailure, _ directory: DataDirectory?) -> TerminalText {
    if directory?.isGone == true {
      return
        "\(failure). Stopping: nothing more could be kept. What was acknowledged is where the directory is now."
    }
    if failure == .fenced {
      return
        "another host has \(directory?.path ?? "the log"): it has begun a newer epoch, so this one writes no more\nNothing acknowledged is lost. Stopping; leave the directory to the other host, or stop that one first."
    }
    return
      "the log cannot be written: \(failure)\nNothing acknowledged is lost. Stopping; start again when the disk is well."
  }
}
