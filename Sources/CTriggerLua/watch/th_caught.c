// What every place does that catches an error: it leaves the chunks that ran inside of it, and looks whether the error
// tells of a limit that the run may have met only because of what is kept.
#define _GNU_SOURCE  // memmem
#include <stdlib.h>
#include <string.h>
#include "watch/th_watch.h"

void th_chunks_unwind(th_worker *w, int outer) {
  struct th_runner *r = w->runner;
  while (w->chunks > outer) {
    th_loading *l = r->loading;
    memcpy(w->random, l->random, sizeof w->random);
    w->clock_ns = l->clock_ns;
    w->tree = l->tree;
    w->looked |= l->looked;
    th_alloc_set_origin(w, l->origin);
    r->loading = l->up;
    w->chunks--;
    free(l);
  }
}

// Lua's texts (ldo.c, lstate.c, lvm.c) for limits that are reached sooner through guards: the first one through any, the
// others only where one was called.
static int is_limit(const char *text, size_t length, int guards_called) {
  static const char *const limits[] = {
    "chain too long", "stack overflow", "error in error handling",
    "attempt to yield across a C-call boundary"};
  size_t count = guards_called ? sizeof limits / sizeof *limits : 1;
  for (size_t i = 0; i < count; i++) if (memmem(text, length, limits[i], strlen(limits[i]))) return 1;
  return 0;
}

void th_note_limit(lua_State *L, int index) {
  th_worker *w = th_worker_of(L);
  struct th_runner *r = w->runner;
  if (!r->trigger || r->fresh || lua_type(L, index) != LUA_TSTRING) return;
  size_t length;
  const char *text = lua_tolstring(L, index, &length);
  if (!th_ending(w) && is_limit(text, length, r->guards_called)) w->abandoned = TH_FROZEN_WRITTEN;
}

void th_check_limit(lua_State *L, int index) {
  th_note_limit(L, index);
  th_check(L);
}
