// A disk: its files by name, the failures that are planned for it, and what a crash leaves.
//
// The directory changes like a journaling file system's: a power failure keeps the first few of its changes that
// were not synced, and syncing a file keeps all of them up to those that concern it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fv_internal.h"

// --- nodes and names

fv_node *fv_node_new(void) { return fv_allocate(sizeof(fv_node)); }

static fv_node *retain(fv_node *node) {
  if (node) node->references++;
  return node;
}

void fv_node_release(fv_node *node) {
  if (!node || --node->references > 0) return;
  fv_content_free(&node->content);
  fv_shm_free(node);
  free(node);
}

static fv_name *name_new(const char *text, fv_node *node) {
  fv_name *name = fv_allocate(sizeof *name + strlen(text) + 1);
  strcpy(name->text, text);
  name->node = retain(node);
  return name;
}

static void name_free(fv_name *name) {
  fv_node_release(name->node);
  free(name);
}

static fv_name **place(fv_name **list, const char *text) {
  while (*list && strcmp((*list)->text, text) != 0) list = &(*list)->next;
  return list;
}

// The name stands for `node`, or for nothing when that is NULL.
static void set(fv_name **list, const char *text, fv_node *node) {
  fv_name **at = place(list, text), *old = *at;
  if (node) {
    fv_name *name = name_new(text, node);
    name->next = old ? old->next : NULL;
    *at = name;
  } else if (old) {
    *at = old->next;
  }
  if (old) name_free(old);
}

static void clear(fv_name **list) {
  while (*list) {
    fv_name *next = (*list)->next;
    name_free(*list);
    *list = next;
  }
}

// --- the directory

fv_node *fv_disk_find(const fv_disk *disk, const char *path) {
  for (const fv_name *name = disk->seen; name; name = name->next) {
    if (strcmp(name->text, path) == 0) return name->node;
  }
  return NULL;
}

static void change_directory(fv_disk *disk, const char *path, fv_node *node) {
  fv_name **end = &disk->pending;
  while (*end) end = &(*end)->next;
  *end = name_new(path, node);
  set(&disk->seen, path, node);
}

fv_node *fv_disk_create(fv_disk *disk, const char *path) {
  fv_node *node = fv_node_new();
  change_directory(disk, path, node);
  return node;
}

void fv_disk_remove(fv_disk *disk, const char *path) { change_directory(disk, path, NULL); }

static void keep_first(fv_disk *disk, uint64_t count) {
  while (count-- > 0 && disk->pending) {
    fv_name *change = disk->pending;
    disk->pending = change->next;
    set(&disk->durable, change->text, change->node);
    name_free(change);
  }
}

void fv_disk_sync_directory(fv_disk *disk, const fv_node *node) {
  uint64_t number = 0, last = 0;
  for (const fv_name *change = disk->pending; change; change = change->next) {
    number++;
    if (!node || change->node == node) last = number;
  }
  keep_first(disk, last);
}

// --- failures

int fv_disk_refuses(fv_disk *disk, enum fv_call call) {
  if (disk->is_dead) return 1;
  uint64_t number = ++disk->calls[call];
  return number >= disk->failing[call].from && number < disk->failing[call].to;
}

int fv_disk_dies(fv_disk *disk) {
  if (++disk->changes != disk->dies_at) return 0;
  disk->is_dead = 1;
  return 1;
}

uint64_t fv_disk_calls(const fv_disk *disk, enum fv_call call) { return disk->calls[call]; }
uint64_t fv_disk_changes(const fv_disk *disk) { return disk->changes; }

void fv_disk_fail(fv_disk *disk, enum fv_call call, uint64_t nth, uint64_t times) {
  disk->failing[call].from = nth ? disk->calls[call] + nth : 0;
  disk->failing[call].to = nth ? disk->calls[call] + nth + times : 0;
}

void fv_disk_set_space(fv_disk *disk, int64_t bytes) { disk->space = bytes; }
void fv_disk_set_lying(fv_disk *disk, int lies) { disk->lies = lies; }
void fv_disk_die_in(fv_disk *disk, uint64_t nth) { disk->dies_at = nth ? disk->changes + nth : 0; }
void fv_disk_die(fv_disk *disk) { disk->is_dead = 1; }
int fv_disk_is_dead(const fv_disk *disk) { return disk->is_dead; }
int fv_disk_open_files(const fv_disk *disk) { return disk->open_files; }

int64_t fv_disk_used(const fv_disk *disk) {
  int64_t bytes = 0;
  for (const fv_name *name = disk->seen; name; name = name->next) bytes += name->node->content.seen.size;
  return bytes;
}

// --- crashes

static void lose_power(fv_disk *disk) {
  uint64_t pending = 0;
  for (const fv_name *change = disk->pending; change; change = change->next) pending++;
  keep_first(disk, fv_random(&disk->random) % (pending + 1));
  clear(&disk->pending);
  clear(&disk->seen);
  fv_name **end = &disk->seen;
  for (const fv_name *name = disk->durable; name; name = name->next) {
    fv_content_scatter(&name->node->content, &disk->random);
    fv_content_forget(&name->node->content);
    *end = name_new(name->text, name->node);
    end = &(*end)->next;
  }
}

void fv_disk_restart(fv_disk *disk, int power_fails) {
  if (disk->open_files) {
    fprintf(stderr, "fault VFS: %d files are open on %s at a restart\n", disk->open_files, disk->name);
    abort();
  }
  if (power_fails) lose_power(disk);
  disk->is_dead = 0;
  disk->dies_at = 0;
  disk->space = -1;
  memset(disk->failing, 0, sizeof disk->failing);
}

// --- a look from outside

int fv_disk_flip(fv_disk *disk, const char *path, uint64_t bit) {
  fv_node *node = fv_disk_find(disk, path);
  if (!node) return 0;
  fv_image *images[] = {&node->content.seen, &node->content.durable};
  int found = 0;
  for (int i = 0; i < 2; i++) {
    if (bit / 8 >= (uint64_t)images[i]->size) continue;
    images[i]->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    found = 1;
  }
  return found;
}

const uint8_t *fv_disk_bytes(const fv_disk *disk, const char *path, int64_t *count) {
  const fv_node *node = fv_disk_find(disk, path);
  if (!node) return NULL;
  *count = node->content.seen.size;
  static const uint8_t nothing;
  return node->content.seen.bytes ? node->content.seen.bytes : &nothing;
}

void fv_seed_sqlite(uint32_t seed) {
  // 0 would ask for a random one.
  sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, (int)(seed ? seed : 1), (sqlite3 *)NULL);
}

// --- life

fv_disk *fv_disk_new(const char *name, uint64_t seed) {
  if (sqlite3_vfs_find(name)) return NULL;
  fv_disk *disk = fv_allocate(sizeof *disk);
  disk->name = fv_allocate(strlen(name) + 1);
  strcpy(disk->name, name);
  disk->random = seed;
  disk->space = -1;
  return fv_vfs_register(disk);
}

void fv_disk_free(fv_disk *disk) {
  if (!disk) return;
  sqlite3_vfs_unregister(&disk->vfs);
  clear(&disk->seen);
  clear(&disk->durable);
  clear(&disk->pending);
  free(disk->name);
  free(disk);
}
