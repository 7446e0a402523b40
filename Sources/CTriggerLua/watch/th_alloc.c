// Memory of one worker's Lua state.
//
// Blocks up to 512 bytes come from free lists per 16-byte class, carved from chunks that live as long
// as the worker; larger ones from malloc. One thread, so no locks. Lua tells the old size of every
// block, so blocks carry no header.
//
// While an attempt runs the collector is stopped: most attempts end long before their garbage matters,
// and th_alloc_sweep collects between attempts. Two lines bound an attempt that allocates more:
//   soft  crossing it asks the hook to collect at the next instruction, then moves to twice the live size
//   hard  the limit. Crossing it asks the hook too, which ends the attempt if a collection does not help
//   most  twice the limit: what one step of Lua's, or one of our functions, can take before the hook comes. What asks
//         for more gets nothing, and the attempt has ended
//
// What an attempt holds is what lives beside what is kept between attempts. How much that is nobody knows while garbage
// of earlier attempts lies about, so a run counts from what it is at least, and one that comes to its limit then is only
// suspected: it is given up, everything is collected, and a run that counts exactly decides. So the same attempt ends in
// the same way, whatever ran before. Two things outlive a collection without being kept: Lua's table of strings, which
// is as large as it once had to be and so does not count, and the frames of calls that returned, of which a collection
// frees half (luaE_shrinkCI), so that after deep calls it is repeated.
//
// When it gets nothing, Lua collects by itself and asks again (lmem.c, tryagain). In such a collection, Lua 5.4.4 may
// free the entries of weak tables twice: scripts have none (th_modes.c).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "watch/th_watch.h"

enum {
  CLASS_BYTES = 16,
  SMALL_BYTES = 512,
  CLASSES = SMALL_BYTES / CLASS_BYTES + 1,
  // Behind what Lua asked for, in every block: the number of the object in it (th_born.c).
  NUMBER_BYTES = sizeof(uint64_t),
  CHUNK_BYTES = 64 * 1024,
  DEEP_CALLS = 10000,
  // A block of this size is refused to an attempt that is to end. Lua itself may be in a loop that no hook
  // sees, and then only its growing stack does: __call that leads back to itself adds an argument per round.
  LONG_BYTES = 64 * 1024,
  STACK_LEAST = 26 * 16,  // of a coroutine that was closed; the others are larger, and coroutines themselves smaller
  NODES_BYTES = 384,  // of the smallest table that th_growth.c wants to see, in its test
  STRINGS_BYTES = 128 * sizeof(void *),  // of the table of strings of a new state (MINSTRTABSIZE, llimits.h)
  DEEP_BYTES = 16 * 1024,  // a block grows so large, maybe a stack
};
static const size_t soft_step = 4u << 20;        // garbage one attempt may pile up before it collects
static const size_t sweep_step = 512u << 10;     // least garbage before a sweep
static const size_t held_step = 32u << 10;       // how much more the host may hold before it is counted
static const size_t frames_most = 64u << 10;     // of a stack of less than DEEP_BYTES
static const size_t last_words = 64u << 10;      // for the error text once out of memory

struct chunk { struct chunk *next; uint64_t align; };

struct th_alloc {
  size_t live, soft, hard, most;  // all but live are SIZE_MAX between attempts
  void *free[CLASSES];
  uint8_t *fresh, *fresh_end;  // uncarved rest of the newest chunk
  struct chunk *chunks;
  struct th_stacks *stacks;    // NULL where this Lua needs none
  th_worker *worker;
  int wants_collection;
  char *state; size_t state_bytes;  // where Lua's global state lies
  uint64_t origin, born;       // of the number of the next object, the number of the last (th_born.c)
  size_t newest_bytes;         // of the object that was made last
  size_t thread_bytes;         // of a coroutine, without its stack and extra space
  size_t after_sweep;          // live bytes after the last collection between attempts
  int let_go;                  // something that was kept then is not any more
  int was_deep;                // since then, maybe
  void *strings;               // Lua's table of strings
  int decides;                 // the run counts exactly
  struct th_growth *growth;
};

struct th_alloc *th_alloc_new(th_worker *w) {
  struct th_alloc *a = calloc(1, sizeof *a);
  if (!a) return NULL;
  a->worker = w;
  a->soft = a->hard = a->most = SIZE_MAX;
  int needs_stacks = th_guards() & TH_GUARD_STACKS;
  if (needs_stacks) a->stacks = th_stacks_new();
  a->growth = th_growth_new();
  if ((needs_stacks && !a->stacks) || !a->growth) { th_alloc_free(a); return NULL; }
  return a;
}

void th_alloc_free(struct th_alloc *a) {
  th_stacks_free(a->stacks);
  while (a->chunks) {
    struct chunk *next = a->chunks->next;
    free(a->chunks);
    a->chunks = next;
  }
  th_growth_free(a->growth);
  free(a);
}

void th_alloc_test(lua_State *L) { th_growth_test(L, th_worker_of(L)->alloc->growth); }

static void *carve(struct th_alloc *a, size_t bytes) {
  if ((size_t)(a->fresh_end - a->fresh) < bytes) {
    // The rest of the old chunk goes to its class, so nothing is lost.
    size_t rest = (size_t)(a->fresh_end - a->fresh) / CLASS_BYTES;
    if (rest) {
      *(void **)(void *)a->fresh = a->free[rest];
      a->free[rest] = a->fresh;
    }
    a->fresh = a->fresh_end = NULL;
    struct chunk *c = malloc(CHUNK_BYTES);
    if (!c) return NULL;
    c->next = a->chunks;
    a->chunks = c;
    a->fresh = (uint8_t *)(c + 1);
    a->fresh_end = (uint8_t *)c + CHUNK_BYTES;
  }
  void *block = a->fresh;
  a->fresh += bytes;
  return block;
}

// In a build that looks for misuse of memory (scripts/test-memory) every block is one of malloc's, and moves whenever
// it changes its size: what is used after it was given back shows.
static inline int is_small(size_t bytes) {
#ifdef TH_EVERY_BLOCK
  (void)bytes;
  return 0;
#else
  return bytes <= SMALL_BYTES - NUMBER_BYTES;
#endif
}

static inline size_t class_of(size_t bytes) { return (bytes + NUMBER_BYTES + CLASS_BYTES - 1) / CLASS_BYTES; }

static inline void *take(struct th_alloc *a, size_t bytes) {
  if (!is_small(bytes)) return malloc(bytes + NUMBER_BYTES);
  size_t class = class_of(bytes);
  void *block = a->free[class];
  if (!block) return carve(a, class * CLASS_BYTES);
  a->free[class] = *(void **)block;
  return block;
}

static inline void give(struct th_alloc *a, void *block, size_t bytes) {
  if (!is_small(bytes)) { free(block); return; }
  size_t class = class_of(bytes);
  *(void **)block = a->free[class];
  a->free[class] = block;
}

// Lua does not call message handlers for memory errors, so where it happened is noted here. lua_getstack
// and lua_getinfo with "Sl" only read frames; Lua has saved its program counter before it allocates.
static void note_place(th_worker *w) {
  lua_State *L = w->running;
  lua_Debug ar;
  w->runner->memory_place[0] = 0;
  w->runner->deep = lua_getstack(L, DEEP_CALLS, &ar);
  for (int level = 0; level < 20 && lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0) continue;
    snprintf(w->runner->memory_place, sizeof w->runner->memory_place, "%s:%d: ", ar.short_src, ar.currentline);
    return;
  }
}

void th_note_source(lua_State *L, const char *chunk) {
  th_worker *w = th_worker_of(L);
  char *place = w->runner->memory_place;
  if (!w->out_of_memory || *place || (*chunk != '@' && *chunk != '=')) return;
  snprintf(place, sizeof w->runner->memory_place, "%.*s: ", (int)th_cut(chunk + 1, strlen(chunk + 1), 70), chunk + 1);
}

// Lua's next step comes to th_end_hook, before any call returns that is waiting for it.
static void ask_hook(struct th_alloc *a) {
  int mask = LUA_MASKCOUNT;
  if (a->worker->tracer) mask |= TH_TRACE_MASK;
  if (th_stacks_moved(a->stacks)) mask |= LUA_MASKCALL | LUA_MASKRET;
  lua_sethook(a->worker->running, th_end_hook, mask, 1);
}

// Between attempts nobody is in the middle of anything.
static void stack_moved(struct th_alloc *a) {
  if (a->hard == SIZE_MAX) th_stacks_forget(a->stacks); else ask_hook(a);
}

// Lua collects by itself when this returns.
static void *refuse(struct th_alloc *a) {
  if (a->stacks) th_stacks_refused(a->stacks);
  return NULL;
}

static void note_out_of_memory(struct th_alloc *a) {
  a->most += last_words;
  if (!a->decides) { a->worker->abandoned = TH_MEMORY_SUSPECTED; return; }
  note_place(a->worker);
  a->worker->out_of_memory = 1;
}

// Decides about a request beyond the soft line; `want` is what would live then.
static int admit(struct th_alloc *a, size_t want) {
  th_worker *w = a->worker;
  if (want > a->most) {
    if (!w->out_of_memory && !w->abandoned) note_out_of_memory(a);
    return want <= a->most;
  }
  if (!w->out_of_memory) {
    a->wants_collection = 1;
    ask_hook(a);
  }
  a->soft = want > a->hard ? a->most : a->hard;
  return 1;
}

// Lua asks for the stack of a coroutine right after the coroutine.
static inline void note(struct th_alloc *a, void *block, size_t kind, size_t size) {
  if (kind == LUA_TTHREAD) a->thread_bytes = size - LUA_EXTRASPACE;
  if (!a->state) { a->state = block; a->state_bytes = size; }
  if (!a->worker->main && kind == 0 && size == STRINGS_BYTES && !a->strings) a->strings = block;
  if (!a->stacks) return;
  if (kind == LUA_TTHREAD) th_stacks_owner_made(a->stacks, block, size);
  else if (kind == 0) th_stacks_made(a->stacks, block);
}

static inline void forget(struct th_alloc *a, void *block, size_t size) {
  if (!a->stacks) return;
  if (size < STACK_LEAST) th_stacks_object_freed(a->stacks, block, size);
  else if (th_stacks_freed(a->stacks, block)) stack_moved(a);
}

// A block for the nodes of a table that would grow for seconds is refused, and that ends the attempt.
static int refuse_growth(struct th_alloc *a, size_t bytes) {
  th_worker *w = a->worker;
  if (w->out_of_memory || th_growth_admits(a->growth, bytes)) return 0;
  note_place(w);
  w->out_of_memory = w->runner->chained = 1;
  if (a->most < SIZE_MAX / 2) a->most += last_words;
  return 1;
}

static void *resize_strings(struct th_alloc *a, size_t bytes) {
  if (bytes == 0) { free(a->strings); return a->strings = NULL; }
  void *moved = realloc(a->strings, bytes + NUMBER_BYTES);
  if (moved) a->strings = moved;
  return moved;
}

void *th_allocate(void *alloc, void *block, size_t old_size, size_t new_size) {
  struct th_alloc *a = alloc;
  size_t kind = 0;  // of object, which Lua passes as the old size of a new block; 0 for what belongs to one
  if (!block) { kind = old_size; old_size = 0; }
  else if (__builtin_expect(old_size >= NODES_BYTES, 0)) {
    if (block == a->strings) return resize_strings(a, new_size);
    th_growth_remove(a->growth, block);
  }
  int may_be_nodes = !block && kind == 0;
  if (new_size == 0) {
    if (block) { forget(a, block, old_size); a->live -= old_size; give(a, block, old_size); }
    return NULL;
  }
  if (__builtin_expect(may_be_nodes && new_size >= NODES_BYTES, 0) && refuse_growth(a, new_size)) return refuse(a);
  if (new_size > old_size && a->live + (new_size - old_size) > a->soft && !admit(a, a->live + (new_size - old_size)))
    return refuse(a);
  if (new_size >= LONG_BYTES && new_size > old_size && th_ending(a->worker)) {
    note_place(a->worker);
    return refuse(a);
  }
  void *moved;
  if (!block) {
    moved = take(a, new_size);
  } else if (!is_small(old_size) && !is_small(new_size)) {
    if (new_size >= DEEP_BYTES) a->was_deep = 1;
    moved = realloc(block, new_size + NUMBER_BYTES);
  } else if (is_small(old_size) && is_small(new_size) &&
             class_of(old_size) == class_of(new_size)) {
    moved = block;
  } else if ((moved = take(a, new_size))) {
    memcpy(moved, block, old_size < new_size ? old_size : new_size);
    give(a, block, old_size);
  }
  if (!moved) {
    if (!block || new_size > old_size) return refuse(a);
    moved = block;  // shrinking must not fail; a larger block serves a smaller class as well
  }
  a->live += new_size - old_size;
  if (kind >= LUA_TTABLE && kind <= LUA_TTHREAD) {
    uint64_t number = a->origin | ++a->born;
    memcpy((char *)moved + new_size, &number, sizeof number);
    a->newest_bytes = new_size;
  }
  if (!block && (new_size >= STACK_LEAST || kind == LUA_TTHREAD)) note(a, moved, kind, new_size);
  if (__builtin_expect(may_be_nodes && new_size >= NODES_BYTES, 0)) th_growth_add(a->growth, moved, new_size);
  return moved;
}

static void collect_between(struct th_alloc *a) {
  size_t before;
  do {
    before = a->live;
    lua_gc(a->worker->main, LUA_GCCOLLECT);
  } while ((a->was_deep || a->decides) && a->live < before);
  a->after_sweep = a->live;
  a->let_go = a->was_deep = 0;
}

// What is kept between attempts takes so much at least.
static size_t least_kept(const struct th_alloc *a) {
  size_t kept = a->after_sweep < a->live ? a->after_sweep : a->live;
  return a->let_go || a->was_deep || kept < frames_most ? 0 : kept - frames_most;
}

void th_alloc_let_go(th_worker *w) { w->alloc->let_go = 1; }

void th_alloc_begin(th_worker *w, size_t memory_bytes, enum th_counting counting) {
  struct th_alloc *a = w->alloc;
  size_t bytes = memory_bytes > SIZE_MAX / 4 ? SIZE_MAX / 4 : memory_bytes;
  a->decides = counting != TH_COUNT_AT_LEAST;
  if (counting == TH_COUNT_EXACTLY) collect_between(a);
  a->hard = (a->decides ? a->live : least_kept(a)) + bytes;
  a->most = a->hard + bytes;
  a->soft = a->live + soft_step < a->hard ? a->live + soft_step : a->hard;
  a->wants_collection = 0;
  th_stacks_forget(a->stacks);
  th_growth_begin(a->growth);
  // What the host holds for runs that were given up.
  w->held_before = counting == TH_COUNT_EXACTLY && w->info && w->info->held_bytes ? *w->info->held_bytes : 0;
  w->held_next = w->held_before + held_step;
}

void th_alloc_end(th_worker *w) {
  struct th_alloc *a = w->alloc;
  a->soft = a->hard = a->most = SIZE_MAX;
  a->wants_collection = 0;
}

// A full cycle marks the idle heap (libraries, loaded scripts) and sweeps. Spread over half a MiB of
// garbage, or half the idle heap when that is more, it costs a bump run less than can be measured:
// 0.56 to 0.62 us for any step from 128 KiB to 2 MiB, young collections of the generational mode alike.
void th_alloc_sweep(th_worker *w) {
  struct th_alloc *a = w->alloc;
  size_t step = a->after_sweep / 2 > sweep_step ? a->after_sweep / 2 : sweep_step;
  if (a->live < a->after_sweep + step) return;
  collect_between(a);
}

static void end_for_memory(lua_State *L) {
  note_out_of_memory(th_worker_of(L)->alloc);
  th_raise_end(L);
}

void th_check_held_now(lua_State *L) {
  th_worker *w = th_worker_of(L);
  struct th_alloc *a = w->alloc;
  w->held_next = *w->info->held_bytes + held_step;
  size_t held = *w->info->held_bytes - w->held_before;
  if (a->live + held <= a->hard) return;
  lua_gc(L, LUA_GCCOLLECT);
  if (a->live + held > a->hard) end_for_memory(L);
}

int th_alloc_wants_collection(th_worker *w) { return w->alloc->wants_collection; }

void th_alloc_collect(lua_State *L) {
  struct th_alloc *a = th_worker_of(L)->alloc;
  lua_gc(L, LUA_GCCOLLECT);
  a->wants_collection = 0;
  if (a->live > a->hard) end_for_memory(L);
  size_t line = a->live * 2 > a->live + soft_step ? a->live * 2 : a->live + soft_step;
  a->soft = line < a->hard ? line : a->hard;
}

char *th_alloc_state(th_worker *w, size_t *bytes) {
  *bytes = w->alloc->state_bytes;
  return w->alloc->state;
}

uint64_t th_alloc_set_origin(th_worker *w, uint64_t origin) {
  uint64_t before = w->alloc->origin;
  w->alloc->origin = origin;
  return before;
}

size_t th_alloc_newest_bytes(th_worker *w) { return w->alloc->newest_bytes; }
size_t th_alloc_thread_bytes(th_worker *w) { return w->alloc->thread_bytes; }
struct th_stacks *th_alloc_stacks(th_worker *w) { return w->alloc->stacks; }

size_t th_worker_memory(const th_worker *w) { return w->alloc->live; }
