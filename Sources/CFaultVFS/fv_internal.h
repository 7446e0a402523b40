#ifndef FV_INTERNAL_H
#define FV_INTERNAL_H

#include <sqlite3.h>
#include <stddef.h>
#include "include/CFaultVFS.h"

// --- the content of a file (fv_content.c)

typedef struct fv_image {
  uint8_t *bytes;
  int64_t size, capacity;
} fv_image;

// One change that is not synced: bytes at an offset, or with `length` below 0 the new size `offset`.
typedef struct fv_change {
  struct fv_change *next;
  int64_t offset, length;
  uint8_t bytes[];
} fv_change;

typedef struct fv_content {
  fv_image seen;     // what reads give
  fv_image durable;  // what a power failure leaves, but for:
  fv_change *first, *last;
} fv_content;

void fv_image_resize(fv_image *image, int64_t size);
void fv_content_write(fv_content *content, int64_t offset, const void *bytes, int64_t length);
void fv_content_resize(fv_content *content, int64_t size);
// All changes are on the disk.
void fv_content_sync(fv_content *content);
// Each change is on the disk, lost, or torn, in one of several ways in which that happens; none is pending any
// more. Reads give what they gave.
void fv_content_scatter(fv_content *content, uint64_t *random);
// The cache is gone.
void fv_content_forget(fv_content *content);
void fv_content_free(fv_content *content);
uint64_t fv_random(uint64_t *state);

// --- files and their names (fv_disk.c)

typedef struct fv_file fv_file;

// A file, whatever names it has: the cache and the disk may know different files by one name.
typedef struct fv_node {
  fv_content content;
  int references;   // names, pending changes of the directory, open files
  fv_file *open;    // open files
  void **regions;   // shared memory of SQLite's WAL index
  int region_count;
} fv_node;

typedef struct fv_name {
  struct fv_name *next;
  fv_node *node;    // in a pending change: NULL is a deletion
  char text[];
} fv_name;

struct fv_disk {
  sqlite3_vfs vfs;
  char *name;
  uint64_t random;
  fv_name *seen, *durable;
  fv_name *pending;  // changes of the directory, oldest first: a power failure keeps the first few of them
  int open_files, is_dead, lies;
  int64_t space;
  uint64_t changes, dies_at;
  uint64_t calls[FV_CALLS];
  struct { uint64_t from, to; } failing[FV_CALLS];  // numbers of calls, [from, to)
};

// Counts a call. True when it is to fail.
int fv_disk_refuses(fv_disk *disk, enum fv_call call);
// Counts a change. True when the process dies in it.
int fv_disk_dies(fv_disk *disk);
fv_node *fv_disk_find(const fv_disk *disk, const char *path);
fv_node *fv_disk_create(fv_disk *disk, const char *path);
void fv_disk_remove(fv_disk *disk, const char *path);
// What the directory says about the node is on the disk; NULL: all it says.
void fv_disk_sync_directory(fv_disk *disk, const fv_node *node);
fv_node *fv_node_new(void);
void fv_node_release(fv_node *node);

// --- open files (fv_vfs.c)

struct fv_file {
  sqlite3_file base;
  fv_disk *disk;
  fv_node *node;
  fv_file *next;       // of the node's open files
  int level;           // SQLITE_LOCK_NONE to SQLITE_LOCK_EXCLUSIVE
  uint16_t shared, exclusive;  // slots of the shared memory that it has locked
};

// --- locks and shared memory (fv_lock.c)

int fv_lock(sqlite3_file *file, int level);
int fv_unlock(sqlite3_file *file, int level);
int fv_check_reserved(sqlite3_file *file, int *is_reserved);
int fv_shm_map(sqlite3_file *file, int region, int bytes, int extend, void volatile **memory);
int fv_shm_lock(sqlite3_file *file, int offset, int count, int flags);
void fv_shm_barrier(sqlite3_file *file);
int fv_shm_unmap(sqlite3_file *file, int delete_it);
void fv_shm_free(fv_node *node);

fv_disk *fv_vfs_register(fv_disk *disk);

// An allocation that cannot fail: a simulation without memory is over.
void *fv_allocate(size_t bytes);

#endif
