// What Swift's Glibc module leaves out, as functions with fixed arguments. None of them retries.
#ifndef CTRIGGERFILES_H
#define CTRIGGERFILES_H

// Lets two names of one file system change places, in one step. Relative to the two open directories.
// Returns 0, or -1 with errno: EINVAL or ENOSYS where the file system cannot.
int tf_exchange(int old_directory, const char *old_name, int new_directory, const char *new_name);

// Renames; fails with EEXIST when the new name is taken. EINVAL or ENOSYS where the file system cannot.
int tf_rename_new(int old_directory, const char *old_name, int new_directory, const char *new_name);

// Whether somebody has the open file open for writing: 1 or 0; -1 where the system does not tell.
// `file` must be open for reading only.
int tf_has_writer(int file);

// The type of the file system that a path lies on (statfs.f_type); 0 where the system has no such numbers.
long tf_file_system(const char *path);

// Gives memory that was freed back to the system, after work that needed much of it for a moment.
void tf_trim_memory(void);

#endif
