import Foundation

/// Descriptors 0, 1 and 2. A process may be started with one of them closed (`run <&-`); the next file that it opens,
/// its log among them, would take the place, and what is printed would go into it.
enum StandardDescriptors {
  /// Puts /dev/null where nothing is open. Before anything else is opened.
  static func fill() {
    for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) < 0 {
      // The lowest number that is free: this one. Reading gives the end, writing is taken and gone.
      _ = open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY)
    }
  }
}
