// Shared by the files that run scripts: th_alloc.c, th_worker.c, th_codec*.c, th_tree.c, th_freeze.c,
// th_api.c. The sandbox's libraries see th_internal.h only.
#ifndef TH_RUNNER_H
#define TH_RUNNER_H

#include "th_internal.h"

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

typedef struct th_seen_version { void *store; int64_t seq; } th_seen_version;

// What a worker keeps beside th_worker. Touched by the worker's thread only.
// What of the state's memory is not a run's own.
enum th_counting {
  TH_COUNT_AT_LEAST,   // what is kept between runs takes so much at least: no more than a suspicion comes of it
  TH_COUNT_EXACTLY,    // everything else is collected first
  TH_COUNT_FROM_HERE,  // whatever is there
};

struct th_runner {
  int ctx_ref, globals_ref, array_ref;   // registry references made once
  int libraries_ref;                     // content to library table, as proxies_ref
  int proxies_ref;                       // content to the frozen table that stands for it: weak keys
  int stores_ref, passing_ref;           // name to store object: permanent ones, this attempt's
  int fresh_ref;                         // path to module of the attempt that runs chunks anew
  int fresh;                             // chunks run anew in this attempt
  size_t handler_offset;                 // in a coroutine; 0 where this Lua forgets it itself
  int room;                              // of stacks in this attempt; see th_stacks.c
  enum th_counting counting;             // in this run; see th_alloc.c
  int passing_used;                      // passing stores are to be dropped when the attempt ends
  int analysis_works;                    // the dump parser recognised the samples of th_purity_selftest
  th_trigger *trigger;                   // being run or loaded
  const uint8_t *event; size_t event_length;
  th_loading *loading;                   // innermost; as many as worker->chunks
  uint64_t chunk_numbers;                // last one given
  struct th_origins *origins;            // th_born.c
  int numbers_work;                      // an object's number is where th_born.c looks for it
  int ending_told;                       // the attempt's end is described in the worker's error
  char memory_place[80]; int deep;       // of the refusal that ended the attempt
  int chained;                           // it was refused for a table's keys (th_growth.c)
  uint8_t *marks; uint32_t marks_capacity;  // th_collect_returned: intents already met
  int guards_called;                     // of frozen tables, in this run
  uint64_t logs, logs_to_skip;           // a rerun does not repeat the lines of the abandoned run
  th_output scratch;                     // log fields, specs
  th_seen_version *seen; uint32_t seen_length, seen_capacity;  // read_snapshot of this attempt
};

struct th_tree {
  void *context;
  int64_t commit_time_ns;
  uint64_t seed;
  int modules_ref;   // path to module value (frozen) or false (cannot be kept)
  int chunks_ref;    // path to compiled chunk
  int executes_ref;  // path to the frozen execute of a trigger that is kept
  int needs_ref;     // path to the set of paths that its chunk has looked for; of kept ones
  int bound_ref;     // set of paths whose chunk has looked at clock or random, or needs one that has
  th_trigger *triggers;
};

struct th_trigger {
  th_tree *tree;
  th_trigger *next;
  int execute_ref, spec_ref;
  int fresh;         // its chunk runs anew for each attempt
  int room;          // how often a run was given up because a stack moved
  int lasting;       // what a run did stays (th_session.c), so it cannot begin anew
  char path[];
};

extern const char th_content_key;  // guard[&th_content_key] = content (th_freeze.c)
#define th_get_ref(L, ref) lua_rawgeti((L), LUA_REGISTRYINDEX, (ref))

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

struct th_stacks *th_alloc_stacks(th_worker *w);
char *th_alloc_state(th_worker *w, size_t *bytes);  // the block that Lua's global state lies in
uint64_t th_alloc_set_origin(th_worker *w, uint64_t origin);  // of objects from now on; returns the one before
size_t th_alloc_newest_bytes(th_worker *w);         // of the object that was made last
size_t th_alloc_thread_bytes(th_worker *w); // of the coroutine that was made last

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

// --- th_guards.c
const char *th_guard_name(int bit);      // one of enum th_guard

// --- th_fitting.c
void th_test_guards(lua_State *L);       // raises when one does not fit the library

// --- th_handler.c
int th_handler_find(lua_State *L);       // 0: it is not where it can be. May raise (memory)

// --- th_growth.c. None raises, but the test (memory).
struct th_growth *th_growth_new(void);
void th_growth_free(struct th_growth *growth);
void th_growth_begin(struct th_growth *growth);   // an attempt: what tables there are belongs to others
// A new block of this size may hold the nodes of a table that grows: whether that would end soon.
int th_growth_admits(struct th_growth *growth, size_t bytes);
void th_growth_add(struct th_growth *growth, void *block, size_t bytes);
void th_growth_remove(struct th_growth *growth, const void *block);
void th_growth_test(lua_State *L, struct th_growth *growth);  // once, before any attempt; without it all is admitted

// --- th_codec.c
// th_encode with the name that error paths start with. Raises.
void th_encode_named(lua_State *L, int index, th_output *output, const th_limits *limits, const char *root);
// As th_encode for the spec of a trigger: functions become the text "function". Raises.
void th_encode_spec(lua_State *L, int index, th_output *output, const th_limits *limits);
// Raises what is wrong with a value that cannot be encoded (th_refusal.c); `value` is an absolute index.
_Noreturn void th_refuse_value(
  lua_State *L, int value, const th_limits *limits, const char *root, int functions_as_text);
// RFC 3629.
int th_valid_utf8(const uint8_t *s, size_t n);
// Room for `more` bytes after bytes_length. Raises when out of memory.
void th_output_reserve(lua_State *L, th_output *output, size_t more);

// --- th_code.c
int th_code_selftest(lua_State *L);      // may raise (memory)

// --- th_purity.c
// True when a call of the Lua function at the top may assign an upvalue that outlives the call.
// May raise (memory).
int th_assigns_upvalues(lua_State *L);
int th_purity_selftest(lua_State *L);

// --- th_modes.c
void th_open_modes(lua_State *L);           // first of all. Raises

// --- th_born.c
// The origin of objects that a chunk makes. Does not raise: out of memory, they have no order.
uint64_t th_origin_of(th_worker *w, const char *path);
void th_origins_free(struct th_runner *r);
void th_open_born(lua_State *L);            // when the libraries are there. May raise (memory)

// --- th_freeze.c
// Freezes everything reachable from the value at index and returns 1, or changes nothing and returns 0
// when something reachable cannot be kept. Raises (memory).
int th_freeze(lua_State *L, int index, th_tree *tree);
// Replaces the table on top by a read-only one; writes call `write` (t, k, v), which has `name` as its
// first upvalue. Raises (memory).
void th_freeze_library(lua_State *L, const char *name, lua_CFunction write);
// Whether a frame of `of` is the guard of a frozen table, which scripts do not see. Does not raise.
int th_is_guard(lua_State *L, lua_State *of, lua_Debug *ar);

// --- th_require.c. Raises.
void th_open_require(lua_State *L);         // sets require in the table on top

// --- th_tree.c. Raise.
int th_push_chunk(lua_State *L, th_tree *tree, const char *path);  // the compiled one; 0: no such file. [-0, +(0|1)]
// Compiles text, without a byte order mark; `name` is "@path" or "=name". [-0, +1] May raise.
void th_compile(lua_State *L, const char *text, size_t length, const char *name);
void th_push_execute(lua_State *L, th_trigger *trigger);  // of fresh chunks. [-0, +1]
extern const char th_unkept;                // modules[path]: cannot be kept
// --- th_chunk.c. Raise.
void th_open_loading(lua_State *L);         // once, before any chunk runs
// Calls the chunk on top with (name, path) and leaves its value. [-1, +1]
void th_run_chunk(lua_State *L, th_tree *tree, const char *path, const char *name);
// --- th_adopt.c
void th_mark_bound(lua_State *L, th_tree *tree, const char *path);  // may raise (memory)
int th_is_bound(lua_State *L, th_tree *tree, const char *path);     // may raise (memory)
void th_note_need(lua_State *L, th_tree *tree, const char *path);  // the chunk that is running looks for it. May raise

// --- th_api.c. Raise.
void th_open_streams(lua_State *L);         // io and debug, what there is of them, into the table on top
void th_open_api(lua_State *L);             // print; ctx and the metatable of intents in the registry
void th_collect_returned(lua_State *L, int index);  // fills output->returned

// --- th_hook.c, th_signal.c
void th_hook_end(lua_State *L);             // sets the hook that ends the attempt. Does not raise
void th_worker_unbind(th_worker *w);

// --- th_attempt.c
// Runs body(argument) under pcall as an attempt with limits. Returns enum th_status and sets the error.
// When runner->trigger is set and a frozen table is written, the trigger goes over to fresh mode and the
// body runs a second time.
int th_protected(th_worker *w, lua_CFunction body, void *argument, const th_limits *limits);
// --- th_error.c
enum { TH_ERROR_BYTES = 8192 };
int th_describe(lua_State *L);              // the message handler of every attempt
void th_take_error(th_worker *w, lua_State *L);  // from the value on top. Does not raise
void th_set_error(th_worker *w, const char *text, size_t length);
// --- th_scratch.c
// A copy of the scratch buffer, for th_free; 0, with the error set, when out of memory. Does not raise.
int th_give_scratch(th_worker *w, uint8_t **bytes, size_t *length);

#endif
