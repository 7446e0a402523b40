// When tables, functions and coroutines were made: the order in which pairs and next show them as keys.
//
// Addresses differ from run to run. But an execution makes its objects in the same order wherever it runs, so each gets a
// number when it is made: the allocator is told of what kind a new object is, and keeps a word more behind it.
//
// What a chunk makes is older than what executions make, kept or anew; but which chunk ran first on a worker is chance:
// another trigger may have required a module before. So a number begins with the origin of the object, the path of the
// chunk that was running, and origins go by their paths: the libraries first (""), then chunks, executions last. Within
// an origin the numbers themselves count. A chunk that is required within a chunk has its own.
//
//     16 bits origin (0: an execution) | 48 bits, counted up on each worker
//
// Where the word of a function is follows from how many upvalues it has, a byte at a known place (lobject.h); the test at
// the worker's birth tries it, and where it fails no object has a place.
#include <stdlib.h>
#include <string.h>
#include "values/th_values.h"

enum { ORIGIN_SHIFT = 48, ORIGINS_MOST = 0xfffe, UPVALUES_AT = 10, FUNCTION_BYTES = 32 };
static const uint64_t number_mask = ((uint64_t)1 << ORIGIN_SHIFT) - 1;

typedef struct origin { char *path; uint64_t rank; } origin;

struct th_origins {
  origin *list;    // list[i - 1] is origin i; they are never forgotten
  size_t count, capacity;
};

// Those after the new one in order move up. Few are new, and only while scripts load.
static void rank(struct th_origins *o) {
  origin *new = &o->list[o->count - 1];
  new->rank = 1;
  for (size_t i = 0; i + 1 < o->count; i++) {
    if (strcmp(o->list[i].path, new->path) < 0) new->rank++; else o->list[i].rank++;
  }
}

uint64_t th_origin_of(th_worker *w, const char *path) {
  struct th_runner *r = w->runner;
  const uint64_t unknown = (uint64_t)(ORIGINS_MOST + 1) << ORIGIN_SHIFT;
  if (!r->origins) r->origins = calloc(1, sizeof *r->origins);
  struct th_origins *o = r->origins;
  if (!o) return unknown;
  for (size_t i = 0; i < o->count; i++) if (strcmp(o->list[i].path, path) == 0) return (uint64_t)(i + 1) << ORIGIN_SHIFT;
  if (o->count == o->capacity) {
    size_t capacity = o->capacity ? o->capacity * 2 : 32;
    origin *list = realloc(o->list, capacity * sizeof *list);
    if (!list) return unknown;
    o->list = list;
    o->capacity = capacity;
  }
  size_t bytes = strlen(path) + 1;
  char *copy = o->count < ORIGINS_MOST ? malloc(bytes) : NULL;
  if (!copy) return unknown;
  memcpy(copy, path, bytes);
  o->list[o->count++].path = copy;
  rank(o);
  return (uint64_t)o->count << ORIGIN_SHIFT;
}

void th_origins_free(struct th_runner *r) {
  for (size_t i = 0; r->origins && i < r->origins->count; i++) free(r->origins->list[i].path);
  if (r->origins) free(r->origins->list);
  free(r->origins);
}

// The bytes of the object at an index from where lua_topointer shows it; 0 for what has no number.
static size_t bytes_of(lua_State *L, int index, const char *object) {
  size_t word = sizeof(void *);
  switch (lua_type(L, index)) {
    case LUA_TTABLE: return 7 * word;
    case LUA_TTHREAD: return lua_tothread(L, index) == th_worker_of(L)->main ? 0 : th_alloc_thread_bytes(th_worker_of(L));
    case LUA_TFUNCTION: {
      size_t upvalues = (unsigned char)object[UPVALUES_AT];
      if (!lua_iscfunction(L, index)) return FUNCTION_BYTES + upvalues * word;
      if (!lua_getupvalue(L, index, 1)) return 0;  // a function of C alone is no object
      lua_pop(L, 1);
      return FUNCTION_BYTES + upvalues * 2 * word;
    }
    default: return 0;
  }
}

static uint64_t number_of(lua_State *L, int index) {
  uint64_t number;
  const char *object = lua_topointer(L, index);
  size_t bytes = bytes_of(L, index, object);
  if (!bytes) return 0;
  memcpy(&number, object + bytes, sizeof number);
  return number;
}

uint64_t th_place_of(lua_State *L, int index) {
  TH_EFFECT(L, 0);
  struct th_runner *r = th_worker_of(L)->runner;
  uint64_t number = r->numbers_work && lua_checkstack(L, 1) ? number_of(L, index) : 0, from = number >> ORIGIN_SHIFT;
  if (!number || !r->origins || from > r->origins->count) return 0;
  uint64_t place = from ? r->origins->list[from - 1].rank : ORIGINS_MOST + 1;
  return place << ORIGIN_SHIFT | (number & number_mask);
}

// --- the test

static int nothing(lua_State *L) { (void)L; return 0; }

// Whether the object on top, just made, has the size that is believed, and a number above the one before.
static int follows(lua_State *L, uint64_t *before) {
  const char *object = lua_topointer(L, -1);
  th_worker *w = th_worker_of(L);
  size_t bytes = bytes_of(L, -1, object), whole = bytes + (lua_isthread(L, -1) ? LUA_EXTRASPACE : 0);
  uint64_t number = number_of(L, -1);
  int good = bytes && th_alloc_newest_bytes(w) == whole && (number & number_mask) > (*before & number_mask);
  *before = number;
  lua_pop(L, 1);
  return good;
}

static int function_follows(lua_State *L, int maker, int upvalues, uint64_t *before) {
  lua_pushvalue(L, maker);
  lua_pushinteger(L, upvalues);
  return lua_pcall(L, 1, 1, 0) == LUA_OK && lua_isfunction(L, -1) && follows(L, before);
}

void th_open_born(lua_State *L) {
  TH_EFFECT(L, 0);
  static const char text[] =
    "local n = ... local a, b, c = 1, 2, 3 if n == 0 then return function(...) return ... end end "
    "if n == 1 then return function() return a end end if n == 2 then return function() return a, b end end "
    "return function() return a, b, c, n end";
  uint64_t before = 0;
  int top = lua_gettop(L), good = luaL_loadstring(L, text) == LUA_OK;
  lua_newtable(L);
  good = good && follows(L, &before);
  lua_newthread(L);
  good = good && follows(L, &before);
  for (int n = 1; n <= 3; n++) {
    for (int i = 0; i < n; i++) lua_pushnil(L);
    lua_pushcclosure(L, nothing, n);
    good = good && follows(L, &before);
  }
  for (int n = 0; n <= 3; n++) good = good && function_follows(L, top + 1, n, &before);
  th_worker_of(L)->runner->numbers_work = good;
  lua_settop(L, top);
  th_alloc_set_origin(th_worker_of(L), 0);
}
