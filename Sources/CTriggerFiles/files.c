#define _GNU_SOURCE
#include "CTriggerFiles.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/vfs.h>

int tf_exchange(int old_directory, const char *old_name, int new_directory, const char *new_name) {
  return renameat2(old_directory, old_name, new_directory, new_name, RENAME_EXCHANGE);
}

int tf_rename_new(int old_directory, const char *old_name, int new_directory, const char *new_name) {
  return renameat2(old_directory, old_name, new_directory, new_name, RENAME_NOREPLACE);
}

// A read lease is given only while nobody has the file open for writing (fcntl(2), F_SETLEASE). One who opens
// it while the lease is held would have a signal sent to us: SIGURG, which is ignored unless asked for, in
// place of SIGIO, which ends a process.
int tf_has_writer(int file) {
  if (fcntl(file, F_SETSIG, SIGURG) != 0) return -1;
  if (fcntl(file, F_SETLEASE, F_RDLCK) == 0) {
    fcntl(file, F_SETLEASE, F_UNLCK);
    return 0;
  }
  return errno == EAGAIN ? 1 : -1;
}

long tf_file_system(const char *path) {
  struct statfs status;
  return statfs(path, &status) == 0 ? (long)status.f_type : 0;
}

void tf_trim_memory(void) {
  malloc_trim(0);
}
