// The content of a file: as the system's cache has it, as the disk has it, and the changes in between.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fv_internal.h"

enum { SECTOR_BYTES = 512 };

void *fv_allocate(size_t bytes) {
  void *block = calloc(1, bytes ? bytes : 1);
  if (block) return block;
  fprintf(stderr, "fault VFS: no memory for %zu bytes\n", bytes);
  abort();
}

// splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014).
uint64_t fv_random(uint64_t *state) {
  uint64_t mixed = *state += 0x9e3779b97f4a7c15u;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
  return mixed ^ (mixed >> 31);
}

// --- images

void fv_image_resize(fv_image *image, int64_t size) {
  if (size > image->capacity) {
    int64_t capacity = image->capacity ? image->capacity : 4096;
    while (capacity < size) capacity *= 2;
    uint8_t *bytes = fv_allocate((size_t)capacity);
    if (image->size) memcpy(bytes, image->bytes, (size_t)image->size);
    free(image->bytes);
    image->bytes = bytes;
    image->capacity = capacity;
  }
  if (size > image->size) memset(image->bytes + image->size, 0, (size_t)(size - image->size));
  image->size = size;
}

static void put(fv_image *image, int64_t offset, const uint8_t *bytes, int64_t length) {
  if (length <= 0) return;
  if (offset + length > image->size) fv_image_resize(image, offset + length);
  memcpy(image->bytes + offset, bytes, (size_t)length);
}

static void apply(fv_image *image, const fv_change *change) {
  if (change->length < 0) fv_image_resize(image, change->offset);
  else put(image, change->offset, change->bytes, change->length);
}

// --- changes

static void append(fv_content *content, int64_t offset, const void *bytes, int64_t length) {
  size_t count = length > 0 ? (size_t)length : 0;
  fv_change *change = fv_allocate(sizeof *change + count);
  change->offset = offset;
  change->length = length;
  if (count) memcpy(change->bytes, bytes, count);
  if (content->last) content->last->next = change; else content->first = change;
  content->last = change;
  apply(&content->seen, change);
}

void fv_content_write(fv_content *content, int64_t offset, const void *bytes, int64_t length) {
  if (length > 0) append(content, offset, bytes, length);
}

void fv_content_resize(fv_content *content, int64_t size) { append(content, size, NULL, -1); }

static void drop_changes(fv_content *content) {
  while (content->first) {
    fv_change *next = content->first->next;
    free(content->first);
    content->first = next;
  }
  content->last = NULL;
}

void fv_content_sync(fv_content *content) {
  for (const fv_change *change = content->first; change; change = change->next) apply(&content->durable, change);
  drop_changes(content);
}

// --- what is left of changes

// A write is lost: the file may have grown for it all the same.
static void lose(fv_image *image, const fv_change *change, uint64_t *random) {
  int64_t end = change->offset + change->length;
  if (change->length > 0 && end > image->size && fv_random(random) % 2) fv_image_resize(image, end);
}

// Some sectors of a write are on the disk, and of some the first bytes.
static void tear(fv_image *image, const fv_change *change, uint64_t *random) {
  int64_t offset = change->offset, end = change->offset + change->length;
  while (offset < end) {
    int64_t next = (offset / SECTOR_BYTES + 1) * SECTOR_BYTES;
    int64_t length = (next < end ? next : end) - offset;
    switch (fv_random(random) % 4) {
      case 0: length = 0; break;
      case 1: length = (int64_t)(fv_random(random) % (uint64_t)length); break;
      default: break;
    }
    put(image, offset, change->bytes + (offset - change->offset), length);
    offset = next;
  }
  lose(image, change, random);
}

static void keep_some(fv_image *image, const fv_change *change, uint64_t *random) {
  switch (fv_random(random) % 3) {
    case 0: apply(image, change); break;
    case 1: if (change->length > 0) { tear(image, change, random); break; } /* fall through */
    default: lose(image, change, random);
  }
}

static uint64_t count(const fv_content *content) {
  uint64_t changes = 0;
  for (const fv_change *change = content->first; change; change = change->next) changes++;
  return changes;
}

void fv_content_scatter(fv_content *content, uint64_t *random) {
  // Disks that write in order are as common as those that do not: nothing, all, up to a change, or each by itself.
  uint64_t way = fv_random(random) % 4, all = count(content), number = 0;
  uint64_t kept = way == 0 ? 0 : way == 1 ? all : fv_random(random) % (all + 1);
  for (const fv_change *change = content->first; change; change = change->next, number++) {
    if (way == 3 || (way == 2 && number == kept)) keep_some(&content->durable, change, random);
    else if (number < kept) apply(&content->durable, change);
    else lose(&content->durable, change, random);
  }
  drop_changes(content);
}

void fv_content_forget(fv_content *content) {
  content->seen.size = 0;
  put(&content->seen, 0, content->durable.bytes, content->durable.size);
}

void fv_content_free(fv_content *content) {
  drop_changes(content);
  free(content->seen.bytes);
  free(content->durable.bytes);
}
