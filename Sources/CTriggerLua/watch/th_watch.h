// A run under watch: its end, its memory, its stacks, its lines when they are traced. All of it meets in one hook.
#ifndef TH_WATCH_H
#define TH_WATCH_H

#include "ground/th_ground.h"

// True when the running attempt is to end (killed, over memory, or to be run again).
static inline int th_ending(th_worker *w) {
  return w->out_of_memory || w->abandoned ||
         atomic_load_explicit(&w->kill_number, memory_order_relaxed) ==
             atomic_load_explicit(&w->attempt_number, memory_order_relaxed);
}

// --- th_hook.c
// Raises the attempt's end; a script's pcall, coroutine.resume, __close or error handler passes it on.
int th_raise_end(lua_State *L);
// Call in every C loop whose length a script controls.
#define th_check(L) do { if (__builtin_expect(th_ending(th_worker_of(L)), 0)) th_raise_end(L); } while (0)
// Counts work of a C loop and checks now and then: a th_check per step would cost more than the step.
#define th_step(L, steps, cost) \
  do { if (__builtin_expect(((steps) += (unsigned)(cost)) >= 256, 0)) { (steps) = 0; th_check(L); } } while (0)
// The count hook that ends an attempt; set by the signal handler on `running`, and by our
// coroutine.resume on the coroutine it enters when th_ending.
void th_end_hook(lua_State *L, lua_Debug *ar);
void th_set_end_hook(lua_State *L);    // does not raise

// --- th_signal.c
void th_worker_unbind(th_worker *w);    // its thread's signals end nothing any more

// --- th_caught.c
// One script or module chunk now running (th_chunk.c).
typedef struct th_loading {
  struct th_loading *up;
  uint64_t number;           // no other chunk of the worker's life has it
  uint64_t random[4];        // state to return to
  int64_t clock_ns;
  th_tree *tree;
  int looked;
  uint64_t origin;           // of objects made outside of it
  char path[];
} th_loading;
// An error was caught where `outer` chunks ran: those inside of them run no more. Does not raise.
void th_chunks_unwind(th_worker *w, int outer);
// Call with every error that is caught. When the run is on kept chunks and the error tells of a limit that it may have
// met only for that, the run is given up, to run anew: noted (does not raise), or raised as the attempt's end.
void th_note_limit(lua_State *L, int index);
void th_check_limit(lua_State *L, int index);

// --- th_trace.c. None raises. All but the hook's mask need a tracer.
#define TH_TRACE_MASK (LUA_MASKLINE | LUA_MASKCALL)
void th_trace_begin(th_worker *w, lua_State *L);
void th_trace_again(th_worker *w);     // the run was abandoned and begins anew
void th_trace_event(th_worker *w, lua_State *L, lua_Debug *ar);

// --- th_alloc.c. None raises.
struct th_alloc *th_alloc_new(th_worker *w);
void th_alloc_test(lua_State *L);           // once, before any attempt; may raise (memory)
void th_alloc_free(struct th_alloc *a);
void *th_allocate(void *alloc, void *block, size_t old_size, size_t new_size);
void th_alloc_begin(th_worker *w, size_t memory_bytes, enum th_counting counting);
void th_alloc_let_go(th_worker *w);         // something that was kept between attempts is not any more
void th_alloc_end(th_worker *w);
void th_alloc_sweep(th_worker *w);          // between attempts: collects when enough piled up
int th_alloc_wants_collection(th_worker *w);
void th_check_held_now(lua_State *L);
// Call after the host kept something for the attempt: what it holds counts as the attempt's memory. May raise.
static inline void th_check_held(lua_State *L) {
  th_worker *w = th_worker_of(L);
  if (__builtin_expect(w->info && w->info->held_bytes && *w->info->held_bytes >= w->held_next, 0)) th_check_held_now(L);
}
void th_alloc_collect(lua_State *L);        // inside an attempt, from the hook; may raise
// What a refused request is put down to when no line of a script was running: the text that was compiled.
void th_note_source(lua_State *L, const char *chunk);

struct th_stacks *th_alloc_stacks(th_worker *w);
char *th_alloc_state(th_worker *w, size_t *bytes);  // the block that Lua's global state lies in
uint64_t th_alloc_set_origin(th_worker *w, uint64_t origin);  // of objects from now on; returns the one before
size_t th_alloc_newest_bytes(th_worker *w);         // of the object that was made last
size_t th_alloc_thread_bytes(th_worker *w); // of the coroutine that was made last

// --- th_growth.c. None raises, but the test (memory).
struct th_growth *th_growth_new(void);
void th_growth_free(struct th_growth *growth);
void th_growth_begin(struct th_growth *growth);   // an attempt: what tables there are belongs to others
// A new block of this size may hold the nodes of a table that grows: whether that would end soon.
int th_growth_admits(struct th_growth *growth, size_t bytes);
void th_growth_add(struct th_growth *growth, void *block, size_t bytes);
void th_growth_remove(struct th_growth *growth, const void *block);
void th_growth_test(lua_State *L, struct th_growth *growth);  // once, before any attempt; without it all is admitted

// --- th_stacks.c. What th_alloc.c tells of blocks; none raises.
enum { TH_ROOM_MOST = 4 };
struct th_stacks *th_stacks_new(void);
void th_stacks_free(struct th_stacks *s);
void th_stacks_owner_made(struct th_stacks *s, void *object, size_t bytes);  // a coroutine
void th_stacks_refused(struct th_stacks *s);                                 // a request got nothing
int th_stacks_made(struct th_stacks *s, void *block);                        // 0: out of memory
int th_stacks_freed(struct th_stacks *s, void *block);                       // 1: a stack that may have moved
void th_stacks_object_freed(struct th_stacks *s, void *object, size_t bytes);
int th_stacks_moved(const struct th_stacks *s);
void th_stacks_forget(struct th_stacks *s);
void th_stacks_check(lua_State *L);      // from the hook; raises the attempt's end when the move did harm
int th_stacks_selftest(lua_State *L);    // may raise (memory)
// Makes sure that as many values fit on an empty stack as the trigger's runs were seen to need. Does not raise.
void th_make_room(lua_State *L, int is_main);
// The frame that called this one. Frames are linked by the third pointer of a CallInfo (lstate.h), which the API does
// not show; whoever walks them compares the first levels with those of the API, or has a selftest.
struct CallInfo *th_caller(const struct CallInfo *frame);

#endif
