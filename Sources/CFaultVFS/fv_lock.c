// Locks of files and the shared memory of the WAL index, between the connections of one process.
#include <stdlib.h>
#include <string.h>
#include "fv_internal.h"

// The highest level that another open file of the node has.
static int others(const fv_file *file) {
  int level = SQLITE_LOCK_NONE;
  for (const fv_file *other = file->node->open; other; other = other->next) {
    if (other != file && other->level > level) level = other->level;
  }
  return level;
}

int fv_lock(sqlite3_file *base, int level) {
  fv_file *file = (fv_file *)base;
  if (file->disk->is_dead) return SQLITE_IOERR_LOCK;
  if (file->level >= level) return SQLITE_OK;
  int taken = others(file);
  if (level == SQLITE_LOCK_SHARED) {
    if (taken >= SQLITE_LOCK_PENDING) return SQLITE_BUSY;
  } else if (level == SQLITE_LOCK_RESERVED) {
    if (taken >= SQLITE_LOCK_RESERVED) return SQLITE_BUSY;
  } else {
    if (taken >= SQLITE_LOCK_RESERVED) return SQLITE_BUSY;
    // Nobody new comes in while those who are in leave.
    file->level = SQLITE_LOCK_PENDING;
    if (taken >= SQLITE_LOCK_SHARED) return SQLITE_BUSY;
  }
  file->level = level;
  return SQLITE_OK;
}

int fv_unlock(sqlite3_file *base, int level) {
  fv_file *file = (fv_file *)base;
  if (file->level > level) file->level = level;
  return SQLITE_OK;
}

int fv_check_reserved(sqlite3_file *base, int *is_reserved) {
  fv_file *file = (fv_file *)base;
  *is_reserved = file->level >= SQLITE_LOCK_RESERVED || others(file) >= SQLITE_LOCK_RESERVED;
  return SQLITE_OK;
}

int fv_shm_map(sqlite3_file *base, int region, int bytes, int extend, void volatile **memory) {
  fv_file *file = (fv_file *)base;
  fv_node *node = file->node;
  *memory = NULL;
  if (file->disk->is_dead) return SQLITE_IOERR_SHMMAP;
  if (region >= node->region_count) {
    if (!extend) return SQLITE_OK;
    void **regions = fv_allocate((size_t)(region + 1) * sizeof *regions);
    if (node->region_count) memcpy(regions, node->regions, (size_t)node->region_count * sizeof *regions);
    for (int i = node->region_count; i <= region; i++) regions[i] = fv_allocate((size_t)bytes);
    free(node->regions);
    node->regions = regions;
    node->region_count = region + 1;
  }
  *memory = node->regions[region];
  return SQLITE_OK;
}

int fv_shm_lock(sqlite3_file *base, int offset, int count, int flags) {
  fv_file *file = (fv_file *)base;
  uint16_t slots = (uint16_t)(((1u << count) - 1) << offset);
  if (flags & SQLITE_SHM_UNLOCK) {
    file->shared &= (uint16_t)~slots;
    file->exclusive &= (uint16_t)~slots;
    return SQLITE_OK;
  }
  if (file->disk->is_dead) return SQLITE_IOERR_SHMLOCK;
  for (const fv_file *other = file->node->open; other; other = other->next) {
    if (other == file) continue;
    if (other->exclusive & slots) return SQLITE_BUSY;
    if ((flags & SQLITE_SHM_EXCLUSIVE) && (other->shared & slots)) return SQLITE_BUSY;
  }
  if (flags & SQLITE_SHM_EXCLUSIVE) file->exclusive |= slots; else file->shared |= slots;
  return SQLITE_OK;
}

void fv_shm_barrier(sqlite3_file *file) { (void)file; }

int fv_shm_unmap(sqlite3_file *base, int delete_it) {
  fv_file *file = (fv_file *)base;
  (void)delete_it;
  file->shared = file->exclusive = 0;
  return SQLITE_OK;
}

// The index goes with the last open file: whoever comes next builds it anew from the WAL.
void fv_shm_free(fv_node *node) {
  for (int i = 0; i < node->region_count; i++) free(node->regions[i]);
  free(node->regions);
  node->regions = NULL;
  node->region_count = 0;
}
