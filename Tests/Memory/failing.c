// malloc for the C under test (compiled with -Dmalloc=drive_malloc, and so on): it fails where it is told to.
#include <stdlib.h>
#include "drive.h"

void *drive_malloc(size_t bytes);
void *drive_calloc(size_t count, size_t bytes);
void *drive_realloc(void *block, size_t bytes);

uint64_t failed_requests;
static uint64_t asked, fails_at;
static int fails_on;

void fail_at(uint64_t n, int and_on) {
  asked = 0;
  fails_at = n;
  fails_on = and_on;
}

uint64_t requests(void) { return asked; }

// Once all fails, frames of calls are still to be had: Lua drops a finalizer that gets none, and with it the buffer that it
// was to free (GCTM in lgc.c; luaL_Buffer). In the product frames come from chunks, and this is hardly met.
enum { FRAME_BYTES = 80 };

static int fails(size_t bytes) {
  asked++;
  if (fails_on && asked > fails_at && bytes <= FRAME_BYTES) return 0;
  if (!fails_at || (fails_on ? asked < fails_at : asked != fails_at)) return 0;
  failed_requests++;
  return 1;
}

void *drive_malloc(size_t bytes) { return fails(bytes) ? NULL : malloc(bytes); }
void *drive_calloc(size_t count, size_t bytes) { return fails(count * bytes) ? NULL : calloc(count, bytes); }
void *drive_realloc(void *block, size_t bytes) { return fails(bytes) ? NULL : realloc(block, bytes); }
