// SQLite's view of a disk: the methods of a VFS and of its files.
#include <stdlib.h>
#include <string.h>
#include "fv_internal.h"

// --- files

static int file_close(sqlite3_file *base) {
  fv_file *file = (fv_file *)base;
  fv_file **at = &file->node->open;
  while (*at != file) at = &(*at)->next;
  *at = file->next;
  if (!file->node->open) fv_shm_free(file->node);
  fv_node_release(file->node);
  file->disk->open_files--;
  return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *bytes, int count, sqlite3_int64 offset) {
  fv_file *file = (fv_file *)base;
  if (fv_disk_refuses(file->disk, FV_READ)) return SQLITE_IOERR_READ;
  const fv_image *image = &file->node->content.seen;
  int64_t there = image->size - offset;
  if (there >= count) {
    memcpy(bytes, image->bytes + offset, (size_t)count);
    return SQLITE_OK;
  }
  if (there < 0) there = 0;
  if (there) memcpy(bytes, image->bytes + offset, (size_t)there);
  memset((uint8_t *)bytes + there, 0, (size_t)(count - there));
  return SQLITE_IOERR_SHORT_READ;
}

// What of `count` bytes at `offset` has room.
static int64_t room(const fv_file *file, int64_t count, int64_t offset) {
  const fv_disk *disk = file->disk;
  int64_t size = file->node->content.seen.size;
  if (disk->space < 0 || offset + count <= size) return count;
  int64_t left = disk->space - fv_disk_used(disk) + size - offset;
  return left < 0 ? 0 : left < count ? left : count;
}

// How much of a write that does not end well has happened: nothing, all, or a part.
static int64_t part(fv_disk *disk, int64_t count) {
  switch (fv_random(&disk->random) % 3) {
    case 0: return 0;
    case 1: return count;
    default: return (int64_t)(fv_random(&disk->random) % (uint64_t)(count + 1));
  }
}

static int file_write(sqlite3_file *base, const void *bytes, int count, sqlite3_int64 offset) {
  fv_file *file = (fv_file *)base;
  fv_disk *disk = file->disk;
  fv_content *content = &file->node->content;
  if (disk->is_dead) return SQLITE_IOERR_WRITE;
  if (fv_disk_refuses(disk, FV_WRITE)) {
    fv_content_write(content, offset, bytes, part(disk, count));
    return SQLITE_IOERR_WRITE;
  }
  int64_t fits = room(file, count, offset);
  if (fv_disk_dies(disk)) {
    fv_content_write(content, offset, bytes, part(disk, fits));
    return SQLITE_IOERR_WRITE;
  }
  fv_content_write(content, offset, bytes, fits);
  return fits < count ? SQLITE_FULL : SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size) {
  fv_file *file = (fv_file *)base;
  if (fv_disk_refuses(file->disk, FV_TRUNCATE)) return SQLITE_IOERR_TRUNCATE;
  int dies = fv_disk_dies(file->disk);
  if (!dies || part(file->disk, 1)) fv_content_resize(&file->node->content, size);
  return dies ? SQLITE_IOERR_TRUNCATE : SQLITE_OK;
}

static int file_sync(sqlite3_file *base, int flags) {
  fv_file *file = (fv_file *)base;
  fv_disk *disk = file->disk;
  (void)flags;
  if (disk->is_dead) return SQLITE_IOERR_FSYNC;
  if (fv_disk_refuses(disk, FV_SYNC)) {
    fv_content_scatter(&file->node->content, &disk->random);
    return SQLITE_IOERR_FSYNC;
  }
  if (fv_disk_dies(disk)) return SQLITE_IOERR_FSYNC;
  if (disk->lies) return SQLITE_OK;
  fv_content_sync(&file->node->content);
  fv_disk_sync_directory(disk, file->node);
  return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size) {
  fv_file *file = (fv_file *)base;
  if (file->disk->is_dead) return SQLITE_IOERR_FSTAT;
  *size = file->node->content.seen.size;
  return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int operation, void *argument) {
  (void)file, (void)operation, (void)argument;
  return SQLITE_NOTFOUND;
}

static int sector_size(sqlite3_file *file) {
  (void)file;
  return 4096;
}

// As SQLite assumes of every disk on Unix: a write harms no bytes beside it.
static int characteristics(sqlite3_file *file) {
  (void)file;
  return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
  .iVersion = 2, .xClose = file_close, .xRead = file_read, .xWrite = file_write, .xTruncate = file_truncate,
  .xSync = file_sync, .xFileSize = file_size, .xLock = fv_lock, .xUnlock = fv_unlock,
  .xCheckReservedLock = fv_check_reserved, .xFileControl = file_control, .xSectorSize = sector_size,
  .xDeviceCharacteristics = characteristics, .xShmMap = fv_shm_map, .xShmLock = fv_shm_lock,
  .xShmBarrier = fv_shm_barrier, .xShmUnmap = fv_shm_unmap,
};

// --- the VFS

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags, int *out_flags) {
  fv_disk *disk = vfs->pAppData;
  fv_file *file = (fv_file *)base;
  memset(file, 0, sizeof *file);
  if (fv_disk_refuses(disk, FV_OPEN)) return SQLITE_CANTOPEN;
  // A temporary file has no name, and nobody finds it after a crash.
  fv_node *node = path ? fv_disk_find(disk, path) : fv_node_new();
  if (!node) {
    if (!(flags & SQLITE_OPEN_CREATE)) return SQLITE_CANTOPEN;
    node = fv_disk_create(disk, path);
    if (fv_disk_dies(disk)) return SQLITE_CANTOPEN;
  } else if ((flags & SQLITE_OPEN_EXCLUSIVE) && path) {
    return SQLITE_CANTOPEN;
  }
  node->references++;
  file->disk = disk;
  file->node = node;
  file->next = node->open;
  node->open = file;
  disk->open_files++;
  if (path && (flags & SQLITE_OPEN_DELETEONCLOSE)) fv_disk_remove(disk, path);
  file->base.pMethods = &methods;
  if (out_flags) *out_flags = flags;
  return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_directory) {
  fv_disk *disk = vfs->pAppData;
  if (fv_disk_refuses(disk, FV_DELETE)) return SQLITE_IOERR_DELETE;
  if (!fv_disk_find(disk, path)) return SQLITE_IOERR_DELETE_NOENT;
  int dies = fv_disk_dies(disk);
  if (!dies || part(disk, 1)) fv_disk_remove(disk, path);
  if (dies) return SQLITE_IOERR_DELETE;
  if (sync_directory && !disk->lies) fv_disk_sync_directory(disk, NULL);
  return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *is_there) {
  fv_disk *disk = vfs->pAppData;
  if (disk->is_dead) return SQLITE_IOERR_ACCESS;
  const fv_node *node = fv_disk_find(disk, path);
  // As on Unix: an empty journal counts as none.
  *is_there = node && (flags != SQLITE_ACCESS_EXISTS || node->content.seen.size > 0);
  return SQLITE_OK;
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *path, int count, char *full) {
  (void)vfs;
  if (strlen(path) >= (size_t)count) return SQLITE_CANTOPEN;
  strcpy(full, path);
  return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *vfs, int count, char *bytes) {
  fv_disk *disk = vfs->pAppData;
  for (int i = 0; i < count; i++) bytes[i] = (char)fv_random(&disk->random);
  return count;
}

// Nobody else runs: whoever waits for a lock waits in vain, and at once.
static int vfs_sleep(sqlite3_vfs *vfs, int microseconds) {
  (void)vfs;
  return microseconds;
}

static int vfs_time(sqlite3_vfs *vfs, sqlite3_int64 *milliseconds) {
  (void)vfs;
  *milliseconds = 212501664000000;  // 2022-01-01 in SQLite's Julian milliseconds
  return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int count, char *text) {
  (void)vfs, (void)count, (void)text;
  return 0;
}

fv_disk *fv_vfs_register(fv_disk *disk) {
  disk->vfs = (sqlite3_vfs){
    .iVersion = 2, .szOsFile = sizeof(fv_file), .mxPathname = 512, .zName = disk->name, .pAppData = disk,
    .xOpen = vfs_open, .xDelete = vfs_delete, .xAccess = vfs_access, .xFullPathname = vfs_full_pathname,
    .xRandomness = vfs_randomness, .xSleep = vfs_sleep, .xGetLastError = vfs_last_error,
    .xCurrentTimeInt64 = vfs_time,
  };
  if (sqlite3_vfs_register(&disk->vfs, 0) == SQLITE_OK) return disk;
  fv_disk_free(disk);
  return NULL;
}
