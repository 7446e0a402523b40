// One worker: one lua_State with the sandbox, used by one thread.
//
// Path of an attempt: th_run decodes the event into Lua under pcall, calls the trigger's
// `execute`, and leaves the intents it returned in a th_output. Reads go through th_host.
// No Lua error ever leaves a function declared here; no th_host function may raise or unwind.
#ifndef TH_WORKER_H
#define TH_WORKER_H

#include <stddef.h>
#include <stdint.h>

typedef struct th_worker th_worker;
typedef struct th_tree th_tree;        // one version of the script tree, as loaded by one worker
typedef struct th_trigger th_trigger;  // one loaded script of a tree

enum th_intent_kind {
  TH_PUT = 1, TH_DELETE, TH_ADD, TH_MAX, TH_MIN, TH_APPEND,
  TH_REPLACE,  // whole store: value is a CBOR map of key to value, base the seq it was read at
  TH_EMIT,     // key is the event name, value its payload; store is NULL
  TH_APPEND_TEXT,
  TH_SEND,       // key is the session, value the message, a map; store is NULL
  TH_BROADCAST,  // the same with a topic
};

typedef struct th_intent {
  void *store;         // handle from th_host.store
  uint32_t key_offset, key_length;      // into th_output.bytes
  uint32_t value_offset, value_length;  // canonical encoding, into th_output.bytes
  int64_t base;        // TH_REPLACE only
  uint8_t kind;        // enum th_intent_kind
} th_intent;

// What one attempt prepared and returned. Zero it before the first use; reuse it freely:
// th_run sets the lengths back and keeps the memory. Free with th_output_free.
typedef struct th_output {
  uint8_t *bytes;
  th_intent *intents;   // in order of preparation
  uint32_t *returned;   // indices into intents, in the order of the returned list
  uint32_t bytes_length, bytes_capacity;
  uint32_t intents_length, intents_capacity;
  uint32_t returned_length, returned_capacity;
} th_output;
void th_output_free(th_output *output);

// Called on the worker's thread during th_run. `attempt` is what th_run was given.
typedef struct th_host {
  // Handle of a store by name, or NULL with *refused pointing to a NUL-terminated text.
  // *permanent = 1: the same handle holds for every later attempt (it may be cached).
  void *(*store)(void *attempt, const char *name, size_t length, int *permanent, const char **refused);
  // The value of a key at the snapshot in canonical encoding, NULL if absent; records the read.
  // The bytes stay valid until the attempt ends.
  const uint8_t *(*get)(void *attempt, void *store, const char *key, size_t key_length, size_t *length);
  // Iterates keys with a prefix in byte order; records the prefix as read. begin returns a cursor
  // that lives until the attempt ends; next returns 0 at the end.
  void *(*scan_begin)(void *attempt, void *store, const char *prefix, size_t length);
  int (*scan_next)(void *cursor, const char **key, size_t *key_length, const uint8_t **value, size_t *value_length);
  // Number of keys with a prefix; records it as read.
  int64_t (*count)(void *attempt, void *store, const char *prefix, size_t length);
  // Seq of the last commit that changed the store as of the snapshot; records the whole store as read.
  int64_t (*version)(void *attempt, void *store);
  // print and ctx:log. fields: CBOR map or NULL.
  void (*log)(void *attempt, const char *level, const char *message, size_t length,
              const uint8_t *fields, size_t fields_length, const char *where);
  // Source text of a module or script of a tree by relative path ("lib/rsi.lua"), NULL if there is none.
  const char *(*source)(void *tree_context, const char *path, size_t *length);
  // require, called by the chunk of `from` while that loads, looks for a module at `path`, whether there is
  // one or not. NULL when nobody wants to know.
  void (*required)(void *tree_context, const char *from, const char *path);
  // What a session's prelude asks: encoded argument in; 0 and the encoded result (NULL: none), or 1 and the
  // text of an error. The bytes stay valid until the next call. May take long. NULL where there are no sessions.
  int (*call)(void *attempt, const char *name, size_t name_length, const uint8_t *argument, size_t argument_length,
              const uint8_t **result, size_t *result_length);
} th_host;

typedef struct th_limits {
  size_t memory_bytes;       // live bytes one attempt may hold above the idle state
  size_t value_bytes;        // largest encoded value
  uint32_t value_depth;      // deepest nesting
  uint32_t intents;          // most intents prepared by one attempt
  size_t output_bytes;       // most bytes of all intents of one attempt
} th_limits;

// What ctx shows of an attempt. Pointers stay valid during th_run.
typedef struct th_attempt_info {
  int64_t seq;               // the operation's first seq
  int64_t admission_ns;      // nanoseconds since 1970-01-01T00:00:00Z
  uint64_t random_seed;
  const char *trigger; size_t trigger_length;
  const char *event_name; size_t event_name_length;
  const size_t *held_bytes;  // what the host holds for the attempt (reads, cursors, log lines): counts as its memory
} th_attempt_info;

// Names the calling thread, for ps, top and debuggers. Cut to what the system allows.
void th_name_thread(const char *name);

// The system's number of the calling thread; 0 where it has none.
int th_this_thread(void);

// Gives a thread what is left of the cores when nobody else wants them. Whether that is so now.
int th_lower_thread(int thread);
int th_is_lowest_thread(int thread);

// Version of the library that is linked, like "Lua 5.4.4".
const char *th_lua_release(void);
// Names of the guards that this Lua needs, "stacks, ...", as snprintf.
int th_guard_names(char *text, size_t room);
// Version of the GNU C library, "" with another one.
const char *th_libc_release(void);

// NULL when out of memory. `host` is copied.
th_worker *th_worker_new(const th_host *host);
void th_worker_free(th_worker *worker);
// Binds the worker to the calling thread and installs the handler of TH_SIGNAL (once per process).
// Call on the worker's own thread before the first th_run.
void th_worker_bind(th_worker *worker);
size_t th_worker_memory(const th_worker *worker);

// A tree's modules are cached per tree. tree_context goes to th_host.source; clock and seed are
// what chunks see as os.time and math.random while they load.
th_tree *th_tree_new(th_worker *worker, void *tree_context, int64_t commit_time_ns, uint64_t seed);
// Takes over from another tree of the worker what is the same in this one: chunks by their text; modules and triggers
// that are kept, when neither their file nor one that their chunks have looked for differs, and none has looked at the
// clock or math.random. `changed` are the paths that differ, those of files that one tree lacks among them, each
// followed by a zero. Returns 0, with nothing taken over that should not be, when out of memory.
int th_tree_adopt(th_worker *worker, th_tree *tree, const th_tree *old, const char *changed, size_t length);
void th_tree_free(th_worker *worker, th_tree *tree);

// Loads a script of the tree (source through th_host.source) and runs its chunk under the limits.
// NULL on error: th_worker_error has the text ("triggers/rsi.lua:12: ...").
th_trigger *th_trigger_load(th_worker *worker, th_tree *tree, const char *path, const th_limits *limits);
// Compiles a file of the tree without running it. Returns 0, with th_worker_error set, when it is not Lua.
int th_chunk_compile(th_worker *worker, th_tree *tree, const char *path, const th_limits *limits);
// The returned table as CBOR, without `execute` (other functions become the text "function"); where that is no
// function, but the table has an `on`, with the name of its type. Returns 0, with th_worker_error set, when the table
// cannot be encoded, or has neither.
int th_trigger_spec(th_worker *worker, th_trigger *trigger, uint8_t **bytes, size_t *length);
// What a script can use, as a CBOR map: each global to the name of its type, or, for a table, to the list of
// its names; `ctx` and `store` to the lists of theirs. Returns 0, with th_worker_error set, when out of memory.
int th_worker_names(th_worker *worker, uint8_t **bytes, size_t *length);
// The paths that require tries for a module, `?` for its name: template 0, 1, ...; NULL after the last.
const char *th_module_template(size_t place);
// The binary form (lua_dump, with debug information) of a file of the tree. Returns 0, with th_worker_error set,
// when it is not Lua.
int th_chunk_dump(th_worker *worker, th_tree *tree, const char *path, const th_limits *limits,
                  uint8_t **bytes, size_t *length);
// Frees bytes given by th_trigger_spec, th_worker_names and th_chunk_dump.
void th_free(void *bytes);

enum th_status { TH_OK = 0, TH_SCRIPT_ERROR, TH_KILLED, TH_OUT_OF_MEMORY,
                 TH_NOT_LUA, TH_INCOMPLETE };  // of th_session_run: the text does not compile; it ends too early
enum th_kill_reason { TH_KILL_NONE = 0, TH_KILL_TIMEOUT, TH_KILL_CANCELLED };

// Runs one attempt. On any status but TH_OK the output has nothing returned and th_worker_error
// has message and traceback (script name, line), at most 8 KiB.
int th_run(th_worker *worker, th_trigger *trigger, void *attempt, const th_attempt_info *info,
           const uint8_t *event, size_t event_length, const th_limits *limits, th_output *output);
const char *th_worker_error(const th_worker *worker, size_t *length);

// A session (th_session.c says what it is). The prelude is Lua text. NULL on error, with th_worker_error set.
// Free it before its tree and worker.
typedef struct th_session th_session;
th_session *th_session_new(th_worker *worker, th_tree *tree, const char *prelude, size_t length);
void th_session_free(th_session *session);
// Calls the session's entry with the decoded argument and the compiled text (nil when text is NULL). `name` is
// what Lua calls the text (luaL_loadbuffer). `output` may be NULL: then no intents can be prepared.
int th_session_run(th_session *session, void *attempt, const th_attempt_info *info, const char *name,
                   const char *text, size_t length, const uint8_t *argument, size_t argument_length,
                   const th_limits *limits, th_output *output);

// Number of the attempt now running, 0 when idle. Any thread.
uint64_t th_worker_running(const th_worker *worker);
// Asks that the given attempt end: call again until th_worker_running differs. Any thread.
void th_worker_kill(th_worker *worker, uint64_t running, int reason);

// Sees each line of a run before it is executed: the script's path, and as text the local variables of its
// function that have changed since the function's line before (`a = 1, b = {x = 2}`). Line 0: the run begins
// anew, what came before does not count. Returns 0 to see no more. Worker's thread; may not unwind.
typedef int (*th_trace)(void *context, const char *path, int line, const char *changes, size_t length);
// Traces what is run from now on, chunks too; NULL switches it off. Returns 0 when out of memory.
// A traced run gives what any other gives, but takes longer. Not during a run.
int th_worker_set_trace(th_worker *worker, th_trace trace, void *context);

#endif
