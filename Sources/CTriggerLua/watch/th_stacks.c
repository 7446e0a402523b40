// Stacks that move while Lua holds a pointer into them (Lua 5.4.4 as Debian mends it).
//
// `a .. b .. object` goes on with the address that the stack had before the `__concat` of the object ran. When the
// stack has grown or shrunk in there, the rest of the expression reads and writes freed memory, and what comes of it
// depends on how large earlier attempts left the stack. Nothing outside of Lua can put the address right, and a stack
// cannot be made to grow in place: this Lua asks for a new block as it asks for one of a table.
//
// So a move is noticed, and the run that it would harm is given up before the metamethod returns: it begins anew with a
// stack large enough (th_protected), and its trigger has such a stack from then on. To notice: the first block that
// Lua asks for after a coroutine is its stack; a stack that is given back while its coroutine lives has moved to
// the block asked for last. The hook set then comes before anything returns (a call, a return, an instruction)
// and looks whether a caller is at a concatenation of three values or more.
#include <stdlib.h>
#include <string.h>
#include "watch/th_watch.h"

enum { SUSPECTS = 32, OPCODE_CONCAT = 53, LEAST_OPERANDS = 3 };

typedef struct place { void *block; lua_State *owner; } place;

struct th_stacks {
  place *places;               // a hash table with open addressing
  size_t count, mask;
  place suspects[SUSPECTS];    // moved since the hook looked last
  int suspects_count, too_many;
  place last;                  // where the stack that was given back last went to, if it has moved
  lua_State *newborn;          // its stack is asked for next
  int refusals;                // of that request
  void *newest;                // the block asked for last that may be where a stack moves to
  size_t owner_bytes;          // of a coroutine, without its stack
};

struct th_stacks *th_stacks_new(void) { return calloc(1, sizeof(struct th_stacks)); }

void th_stacks_free(struct th_stacks *s) {
  if (s) free(s->places);
  free(s);
}

static size_t home(const struct th_stacks *s, const void *block) {
  return (size_t)(((uint64_t)(uintptr_t)block >> 4) * 0x9e3779b97f4a7c15u >> 32) & s->mask;
}

static place *find(struct th_stacks *s, const void *block) {
  if (!s->count) return NULL;
  for (size_t i = home(s, block); s->places[i].block; i = (i + 1) & s->mask)
    if (s->places[i].block == block) return &s->places[i];
  return NULL;
}

static void put(struct th_stacks *s, place p) {
  size_t i = home(s, p.block);
  while (s->places[i].block) i = (i + 1) & s->mask;
  s->places[i] = p;
  s->count++;
}

// 0 when out of memory.
static int add(struct th_stacks *s, void *block, lua_State *owner) {
  if (s->count * 2 >= s->mask) {
    size_t old = s->places ? s->mask + 1 : 0, capacity = old ? old * 2 : 64;
    place *before = s->places, *larger = calloc(capacity, sizeof *larger);
    if (!larger) return 0;
    s->places = larger;
    s->mask = capacity - 1;
    s->count = 0;
    for (size_t i = 0; i < old; i++) if (before[i].block) put(s, before[i]);
    free(before);
  }
  put(s, (place){block, owner});
  return 1;
}

// What stands behind the gap and is not at home there moves up, so that no search ends at the gap.
static void take_out(struct th_stacks *s, place *p) {
  size_t gap = (size_t)(p - s->places);
  for (size_t i = (gap + 1) & s->mask; s->places[i].block; i = (i + 1) & s->mask) {
    size_t from_home = (i - home(s, s->places[i].block)) & s->mask;
    if (from_home < ((i - gap) & s->mask)) continue;
    s->places[gap] = s->places[i];
    gap = i;
  }
  s->places[gap].block = NULL;
  s->count--;
}

void th_stacks_owner_made(struct th_stacks *s, void *object, size_t bytes) {
  s->newborn = (lua_State *)(void *)((char *)object + LUA_EXTRASPACE);
  s->refusals = 0;
  s->owner_bytes = bytes;
}

// A coroutine that got no stack will never have one: Lua asks once more after it has collected, and not again.
void th_stacks_refused(struct th_stacks *s) {
  if (s->newborn && ++s->refusals == 2) s->newborn = NULL;
}

int th_stacks_made(struct th_stacks *s, void *block) {
  lua_State *owner = s->newborn;
  s->newest = owner ? NULL : block;
  s->newborn = NULL;
  return !owner || add(s, block, owner);
}

int th_stacks_freed(struct th_stacks *s, void *block) {
  place *p = find(s, block);
  void *moved_to = s->newest;
  if (block == moved_to) s->newest = NULL;
  if (!p) return 0;
  lua_State *owner = p->owner;
  take_out(s, p);
  s->newest = s->last.block = NULL;
  if (!moved_to || !add(s, moved_to, owner)) return 0;
  s->last = (place){moved_to, owner};
  if (s->suspects_count == SUSPECTS) s->too_many = 1;
  else s->suspects[s->suspects_count++] = (place){moved_to, owner};
  return 1;
}

// A coroutine that is collected gives its stack back and then itself: that stack has not moved. Earlier it may have.
void th_stacks_object_freed(struct th_stacks *s, void *object, size_t bytes) {
  if (bytes != s->owner_bytes) return;
  lua_State *owner = (lua_State *)(void *)((char *)object + LUA_EXTRASPACE);
  if (s->newborn == owner) s->newborn = NULL;
  place *p = s->last.block && s->last.owner == owner ? find(s, s->last.block) : NULL;
  if (p && p->owner == owner) take_out(s, p);
  int kept = 0;
  for (int i = 0; i < s->suspects_count; i++) if (s->suspects[i].owner != owner) s->suspects[kept++] = s->suspects[i];
  s->suspects_count = kept;
}

int th_stacks_moved(const struct th_stacks *s) { return s && (s->suspects_count || s->too_many); }

void th_stacks_forget(struct th_stacks *s) { if (s) s->suspects_count = s->too_many = 0; }

// Frames are linked by the third pointer of a CallInfo (lstate.h), which the API does not show.
struct CallInfo *th_caller(const struct CallInfo *frame) {
  struct CallInfo *up;
  memcpy(&up, (const char *)frame + 2 * sizeof(void *), sizeof up);
  return up;
}

// A frame that calls, so not the innermost one, is at the instruction before the saved place of its code, which is the
// first field behind the four pointers that all frames have (lstate.h). th_stacks_selftest looks whether that is so.
static int is_at_concat(lua_State *L, struct CallInfo *frame) {
  lua_Debug ar = {.i_ci = frame};
  const uint32_t *next;
  if (!lua_getinfo(L, "S", &ar) || *ar.what == 'C') return 0;
  memcpy(&next, (const char *)frame + 4 * sizeof(void *), sizeof next);
  return (next[-1] & 0x7f) == OPCODE_CONCAT && (next[-1] >> 16 & 0xff) >= LEAST_OPERANDS;
}

// What is suspended has no pointer anywhere: Lua left its own calls when it yielded.
static int is_harmed(lua_State *L) {
  lua_Debug ar;
  if (lua_status(L) == LUA_YIELD || !lua_getstack(L, 0, &ar)) return 0;
  for (struct CallInfo *f = th_caller(ar.i_ci); f && th_caller(f); f = th_caller(f)) if (is_at_concat(L, f)) return 1;
  return 0;
}

void th_stacks_check(lua_State *L) {
  th_worker *w = th_worker_of(L);
  struct th_stacks *s = th_alloc_stacks(w);
  int harmed = 0;
  for (int i = 0; i < s->suspects_count && !harmed; i++) harmed = is_harmed(s->suspects[i].owner);
  for (size_t i = 0; s->too_many && i <= s->mask && !harmed; i++)
    if (s->places[i].block) harmed = is_harmed(s->places[i].owner);
  th_stacks_forget(s);
  if (!harmed) return;
  w->abandoned = TH_STACK_MOVED;
  th_raise_end(L);
}

// --- room

// Values that fit on the main stack, and on that of a coroutine, without a move; by how often a trigger's run was
// given up. The last is all that Lua allows (LUAI_MAXSTACK): what is deeper is a stack overflow anyway.
static const int main_room[] = {200, 4000, 32000, 256000, 1000000};
static const int coroutine_room[] = {0, 200, 2000, 30000, 1000000};
_Static_assert(sizeof main_room / sizeof *main_room == TH_ROOM_MOST + 1, "a size for each");

static void make_room(lua_State *L, int values) {
  for (int below = 0; values && below < 40 && !lua_checkstack(L, values - below); below++) {}
}

void th_make_room(lua_State *L, int is_main) {
  th_worker *w = th_worker_of(L);
  if (th_alloc_stacks(w)) make_room(L, (is_main ? main_room : coroutine_room)[w->runner->room]);
}

// --- selftest

static int probe(lua_State *L) {
  lua_Debug ar;
  lua_pushstring(L, lua_getstack(L, 0, &ar) && is_at_concat(L, th_caller(ar.i_ci)) ? "yes" : "no");
  return 1;
}

// The stacks of this worker are known, and so is where a frame keeps its place.
int th_stacks_selftest(lua_State *L) {
  static const char text[] = "local o = ...; return 'a' .. o == 'no' and 'a' .. 'b' .. o == 'ayes'";
  int top = lua_gettop(L);
  int good = luaL_loadstring(L, text) == LUA_OK;
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, probe);
  lua_setfield(L, -2, "__concat");
  lua_setmetatable(L, -2);
  good = good && lua_pcall(L, 1, 1, 0) == LUA_OK && lua_toboolean(L, -1);
  lua_settop(L, top);
  struct th_stacks *s = th_alloc_stacks(th_worker_of(L));
  int known = 0;
  for (size_t i = 0; s->count && i <= s->mask; i++) known |= s->places[i].block && s->places[i].owner == L;
  return good && known;
}
