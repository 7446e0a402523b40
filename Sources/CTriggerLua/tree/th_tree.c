// Script trees: compiled chunks and triggers (modules: th_require.c; how a chunk runs: th_chunk.c).
//
// The rule: every execution behaves as if the chunks of its script and modules had just run. A trigger
// starts in keep mode: chunks run once, at load; what they leave is frozen (th_freeze.c) and shared by
// all executions, modules also by all triggers of the tree. When something reachable can change, or when
// a frozen table is written, the trigger goes over to fresh mode for good: its chunk and its modules run
// anew for each execution, into a table of modules of that execution.
//
// Chunks see the tree's commit time as clock and a seed from tree and path, in both modes.
#include <stdlib.h>
#include <string.h>
#include "tree/th_tree.h"

// --- compiled chunks

void th_compile(lua_State *L, const char *text, size_t length, const char *name) {
  TH_EFFECT(L, 1);
  if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { text += 3; length -= 3; }  // byte order mark
  if (length && *text == LUA_SIGNATURE[0]) luaL_error(L, "%s:1: bytecode is not loaded, only Lua text", name + 1);
  if (*name == '@' && length && *text == '#') {  // as in a file that a shell can run; the line end stays, for line numbers
    const char *end = memchr(text, '\n', length);
    length = end ? length - (size_t)(end - text) : 0;
    text = end ? end : text;
  }
  if (th_load_text(L, text, length, name) != LUA_OK || !th_mend_code(L)) lua_error(L);
}

// Pushes the compiled chunk and returns 1, or returns 0 when the tree has no such file.
int th_push_chunk(lua_State *L, th_tree *tree, const char *path) {
  TH_EFFECT_BETWEEN(L, 0, 1);
  th_worker *w = th_worker_of(L);
  th_get_ref(L, tree->chunks_ref);
  if (lua_getfield(L, -1, path) == LUA_TFUNCTION) { lua_remove(L, -2); return 1; }
  lua_pop(L, 1);
  size_t length;
  const char *source = w->host.source(tree->context, path, &length);
  if (!source) { lua_pop(L, 1); return 0; }
  const char *name = lua_pushfstring(L, "@%s", path);
  th_compile(L, source, length, name);
  // A chunk that assigns its own _ENV would see that in its next run, so such a one is not kept.
  if (!th_assigns_upvalues(L)) {
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, path);
  }
  lua_replace(L, -3);
  lua_pop(L, 1);
  return 1;
}

// --- trees

static int tree_body(lua_State *L) {
  th_tree *tree = lua_touserdata(L, 1);
  int *refs[] = {&tree->modules_ref, &tree->chunks_ref, &tree->executes_ref, &tree->needs_ref, &tree->bound_ref};
  for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
    lua_newtable(L);
    *refs[i] = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  return 0;
}

static const th_limits own_limits = {SIZE_MAX, SIZE_MAX, 0, 0, 0};

th_tree *th_tree_new(th_worker *w, void *context, int64_t commit_time_ns, uint64_t seed) {
  th_tree *tree = calloc(1, sizeof *tree);
  if (!tree) return NULL;
  *tree = (th_tree){context, commit_time_ns, seed, LUA_NOREF, LUA_NOREF, LUA_NOREF, LUA_NOREF, LUA_NOREF, NULL};
  if (th_protected(w, tree_body, tree, &own_limits) == TH_OK) return tree;
  th_tree_free(w, tree);
  return NULL;
}

// luaL_unref assigns to existing fields of the registry, so it cannot raise.
static void trigger_free(th_worker *w, th_trigger *t) {
  luaL_unref(w->main, LUA_REGISTRYINDEX, t->execute_ref);
  luaL_unref(w->main, LUA_REGISTRYINDEX, t->spec_ref);
  th_alloc_let_go(w);
  free(t);
}

void th_tree_free(th_worker *w, th_tree *tree) {
  while (tree->triggers) {
    th_trigger *next = tree->triggers->next;
    trigger_free(w, tree->triggers);
    tree->triggers = next;
  }
  const int refs[] = {tree->modules_ref, tree->chunks_ref, tree->executes_ref, tree->needs_ref, tree->bound_ref};
  for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) luaL_unref(w->main, LUA_REGISTRYINDEX, refs[i]);
  th_alloc_let_go(w);
  if (w->tree == tree) w->tree = NULL;
  free(tree);
}

// --- triggers

// Runs the trigger's chunk; leaves its table. [+1]
static void push_trigger_table(lua_State *L, th_trigger *t) {
  TH_EFFECT(L, 1);
  if (!th_push_chunk(L, t->tree, t->path)) luaL_error(L, "%s: no such file in the script tree", t->path);
  th_run_chunk(L, t->tree, t->path, t->path);
  if (lua_istable(L, -1)) return;
  const char *article = lua_isnil(L, -1) ? "" : "a ";
  const char *what = lua_isnil(L, -1) ? "nothing" : luaL_typename(L, -1);
  luaL_error(L, "%s: a script returns a table with execute, this one returned %s%s", t->path, article, what);
}

static int push_execute_of(lua_State *L, int table) {
  TH_EFFECT(L, 1);
  int content = th_frozen_content(L, table);
  lua_pushliteral(L, "execute");
  lua_rawget(L, content ? -2 : table);
  if (content) lua_remove(L, -2);
  return lua_isfunction(L, -1);
}

void th_push_execute(lua_State *L, th_trigger *t) {
  TH_EFFECT(L, 1);
  th_get_ref(L, t->execute_ref);
  if (!t->fresh && lua_isfunction(L, -1)) return;
  lua_pop(L, 1);
  if (t->fresh) {
    lua_newtable(L);
    lua_rawseti(L, LUA_REGISTRYINDEX, th_worker_of(L)->runner->fresh_ref);
    push_trigger_table(L, t);
    if (push_execute_of(L, lua_gettop(L))) { lua_remove(L, -2); return; }
  }
  luaL_error(L, "%s: no execute function", t->path);
}

// The execute of a trigger that another tree has loaded, and that is the same in this one. [+(0|1)]
static int push_adopted(lua_State *L, th_trigger *t) {
  TH_EFFECT_BETWEEN(L, 0, 1);
  th_get_ref(L, t->tree->executes_ref);
  if (lua_getfield(L, -1, t->path) == LUA_TFUNCTION) { lua_remove(L, -2); return 1; }
  lua_pop(L, 2);
  return 0;
}

static int load_body(lua_State *L) {
  th_trigger *t = lua_touserdata(L, 1);
  if (!t->fresh && push_adopted(L, t)) { t->execute_ref = luaL_ref(L, LUA_REGISTRYINDEX); return 0; }
  if (t->fresh) {
    lua_newtable(L);
    lua_rawseti(L, LUA_REGISTRYINDEX, th_worker_of(L)->runner->fresh_ref);
  }
  push_trigger_table(L, t);
  int table = lua_gettop(L);
  lua_pushvalue(L, table);
  luaL_unref(L, LUA_REGISTRYINDEX, t->spec_ref);
  t->spec_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  if (t->fresh || !push_execute_of(L, table)) return 0;
  if (!th_freeze(L, -1, t->tree)) { t->fresh = 1; return 0; }
  th_get_ref(L, t->tree->executes_ref);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, t->path);
  lua_pop(L, 1);
  t->execute_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

th_trigger *th_trigger_load(th_worker *w, th_tree *tree, const char *path, const th_limits *limits) {
  size_t length = strlen(path);
  th_trigger *t = calloc(1, sizeof *t + length + 1);
  if (!t) { th_set_error(w, "not enough memory", 17); return NULL; }
  t->tree = tree;
  t->execute_ref = t->spec_ref = LUA_NOREF;
  memcpy(t->path, path, length + 1);
  w->runner->trigger = t;
  int status = th_protected(w, load_body, t, limits);
  w->runner->trigger = NULL;
  if (status != TH_OK) { trigger_free(w, t); return NULL; }
  t->next = tree->triggers;
  tree->triggers = t;
  return t;
}

typedef struct { th_tree *tree; const char *path; } chunk_of;

static int compile_body(lua_State *L) {
  chunk_of *chunk = lua_touserdata(L, 1);
  if (!th_push_chunk(L, chunk->tree, chunk->path)) luaL_error(L, "%s: no such file in the script tree", chunk->path);
  return 0;
}

int th_chunk_compile(th_worker *w, th_tree *tree, const char *path, const th_limits *limits) {
  chunk_of chunk = {tree, path};
  return th_protected(w, compile_body, &chunk, limits) == TH_OK;
}

static int add_piece(lua_State *L, const void *piece, size_t length, void *output) {
  th_output_reserve(L, output, length);
  th_output *o = output;
  memcpy(o->bytes + o->bytes_length, piece, length);
  o->bytes_length += (uint32_t)length;
  return 0;
}

static int dump_body(lua_State *L) {
  th_output *scratch = &th_worker_of(L)->runner->scratch;
  compile_body(L);
  scratch->bytes_length = 0;
  lua_dump(L, add_piece, scratch, 0);
  return 0;
}

int th_chunk_dump(th_worker *w, th_tree *tree, const char *path, const th_limits *limits, uint8_t **bytes,
                  size_t *length) {
  chunk_of chunk = {tree, path};
  return th_protected(w, dump_body, &chunk, limits) == TH_OK && th_give_scratch(w, bytes, length);
}

// The table without its `execute`; in place of one that is no function stands the name of its type. What has neither
// that nor an `on` may be a module, with values that cannot be encoded.
static int spec_body(lua_State *L) {
  th_trigger *t = lua_touserdata(L, 1);
  static const th_limits limits = {SIZE_MAX, 1u << 20, 64, 0, 0};
  th_output *scratch = &th_worker_of(L)->runner->scratch;
  scratch->bytes_length = 0;
  th_get_ref(L, t->spec_ref);
  int table = lua_gettop(L);
  const char *type = push_execute_of(L, table) ? NULL : luaL_typename(L, -1);
  if (th_frozen_content(L, table)) lua_replace(L, table);
  lua_settop(L, table);
  if (type && lua_rawgeti(L, table, 1) == LUA_TTABLE)
    return luaL_error(L, "%s: a file makes one trigger, this one returned a list: give each a file of its own", t->path);
  lua_pushliteral(L, "on");
  if (type && lua_rawget(L, table) != LUA_TTABLE) return luaL_error(L, "%s: no execute function", t->path);
  lua_settop(L, table);
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, table + 1);
  }
  lua_pushliteral(L, "execute");
  if (type) lua_pushstring(L, type);
  else lua_pushnil(L);
  lua_rawset(L, table + 1);
  th_encode_spec(L, table + 1, scratch, &limits);
  return 0;
}

int th_trigger_spec(th_worker *w, th_trigger *t, uint8_t **bytes, size_t *length) {
  return th_protected(w, spec_body, t, &own_limits) == TH_OK && th_give_scratch(w, bytes, length);
}
