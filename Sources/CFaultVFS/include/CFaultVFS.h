// A disk in memory for SQLite that fails the way disks fail: for tests and simulation, never part of a host.
//
// Each disk is a VFS of its own, registered under its name. What is written lies in the system's cache until the
// file is synced; when the power fails, each change since then is kept, lost or torn. All of it follows from one
// seed. Every symbol carries the prefix fv_.
//
// A disk and the connections on it belong to one thread at a time.
#ifndef CFAULTVFS_H
#define CFAULTVFS_H

#include <stdint.h>

typedef struct fv_disk fv_disk;

// Makes an empty disk and registers it: open files with its name as `zVfs`. NULL when there is no memory or the
// name is taken.
fv_disk *fv_disk_new(const char *name, uint64_t seed);
// Every connection must be closed.
void fv_disk_free(fv_disk *disk);

enum fv_call { FV_OPEN, FV_READ, FV_WRITE, FV_TRUNCATE, FV_SYNC, FV_DELETE, FV_CALLS };

// Calls of a kind so far.
uint64_t fv_disk_calls(const fv_disk *disk, enum fv_call call);
// The nth call of a kind from now fails (1: the next), and the `times - 1` after it; nth 0: none fails.
// A write that fails has written a part of its bytes. After a sync that failed it is decided what has reached
// the disk; what has not is never written by a later sync, though reads go on giving it, as in Linux.
void fv_disk_fail(fv_disk *disk, enum fv_call call, uint64_t nth, uint64_t times);
// Bytes that all files together may take; below 0: any number. A write beyond is cut and fails with SQLITE_FULL.
void fv_disk_set_space(fv_disk *disk, int64_t bytes);
// Bytes that all files take.
int64_t fv_disk_used(const fv_disk *disk);
// Whether syncs report success and do nothing.
void fv_disk_set_lying(fv_disk *disk, int lies);

// Changes so far: creations, writes, truncations, syncs, deletions.
uint64_t fv_disk_changes(const fv_disk *disk);
// The process dies in the nth change from now (1: the next; 0: never): how much of that change happens is left
// to the seed, and every call after it fails and does nothing.
void fv_disk_die_in(fv_disk *disk, uint64_t nth);
// The process dies now.
void fv_disk_die(fv_disk *disk);
int fv_disk_is_dead(const fv_disk *disk);
// A new process. With `power_fails` whatever was not synced is kept, lost or torn; without, all of it is there.
// Every connection must be closed; no failure is planned any more.
void fv_disk_restart(fv_disk *disk, int power_fails);
// Open files, those of connections that were not closed.
int fv_disk_open_files(const fv_disk *disk);

// Turns one bit of a file round, on the disk and in the cache. Returns 0 when there is no such bit.
int fv_disk_flip(fv_disk *disk, const char *path, uint64_t bit);
// The bytes of a file as reads give them; NULL when there is none. Valid until the next call.
const uint8_t *fv_disk_bytes(const fv_disk *disk, const char *path, int64_t *count);

// SQLite's own random numbers (salts of its files) follow from the seed from now on. Concerns the whole process.
void fv_seed_sqlite(uint32_t seed);

#endif
