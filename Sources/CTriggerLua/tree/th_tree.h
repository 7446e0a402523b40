// Script trees: chunks and how they run, modules, triggers, and what a tree takes over from the one before.
#ifndef TH_TREE_H
#define TH_TREE_H

#include "attempt/th_attempt.h"

struct th_tree {
  void *context;
  int64_t commit_time_ns;
  uint64_t seed;
  int modules_ref;   // path to module value (frozen) or th_unkept
  int chunks_ref;    // path to compiled chunk
  int executes_ref;  // path to the frozen execute of a trigger that is kept
  int needs_ref;     // path to the set of paths that its chunk has looked for; of kept ones
  int bound_ref;     // set of paths whose chunk has looked at clock or random, or needs one that has
  th_trigger *triggers;
};

// --- th_require.c. Raises.
void th_open_require(lua_State *L);         // sets require in the table on top

// --- th_tree.c. Raise.
int th_push_chunk(lua_State *L, th_tree *tree, const char *path);  // the compiled one; 0: no such file. [-0, +(0|1)]
// Compiles text, without a byte order mark; `name` is "@path" or "=name". [-0, +1] May raise.
void th_compile(lua_State *L, const char *text, size_t length, const char *name);
void th_push_execute(lua_State *L, th_trigger *trigger);  // of fresh chunks. [-0, +1]

// --- th_chunk.c. Raise.
void th_open_loading(lua_State *L);         // once, before any chunk runs
// Calls the chunk on top with (name, path) and leaves its value. [-1, +1]
void th_run_chunk(lua_State *L, th_tree *tree, const char *path, const char *name);

// --- th_adopt.c
extern const char th_unkept;                // modules[path]: cannot be kept
void th_mark_bound(lua_State *L, th_tree *tree, const char *path);  // may raise (memory)
int th_is_bound(lua_State *L, th_tree *tree, const char *path);     // may raise (memory)
void th_note_need(lua_State *L, th_tree *tree, const char *path);  // the chunk that is running looks for it. May raise

#endif
