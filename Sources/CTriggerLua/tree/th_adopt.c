// What a tree takes over from the one before, so that a reload costs a worker what has changed and not the tree.
//
// What a kept chunk leaves behind is frozen, and it came of the chunk's text, the modules that it required, the files
// that it looked for in vain, and, rarely, of clock and randomness, which differ from tree to tree. When all of that is
// the same in the new tree, running the chunk again would give the same: the value itself may serve both. Modules go
// over together with the triggers that hold them, so that a module stays one value for all who require it.
//
// `require` asks the tree of the attempt (worker->tree), never the tree that loaded the function that calls it.
#include <string.h>
#include "tree/th_tree.h"

const char th_unkept;

void th_note_need(lua_State *L, th_tree *tree, const char *path) {
  TH_EFFECT(L, 0);
  struct th_runner *r = th_worker_of(L)->runner;
  if (!r->loading || r->fresh) return;
  th_get_ref(L, tree->needs_ref);
  if (lua_getfield(L, -1, r->loading->path) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, r->loading->path);
  }
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, path);
  lua_pop(L, 2);
}

void th_mark_bound(lua_State *L, th_tree *tree, const char *path) {
  TH_EFFECT(L, 0);
  th_get_ref(L, tree->bound_ref);
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, path);
  lua_pop(L, 1);
}

static int has(lua_State *L, int table, const char *path) {
  TH_EFFECT(L, 0);
  int found = lua_getfield(L, table, path) != LUA_TNIL;
  lua_pop(L, 1);
  return found;
}

int th_is_bound(lua_State *L, th_tree *tree, const char *path) {
  TH_EFFECT(L, 0);
  th_get_ref(L, tree->bound_ref);
  int found = has(L, -1, path);
  lua_pop(L, 1);
  return found;
}

typedef struct adoption {
  th_tree *tree;
  const th_tree *old;
  const char *paths;
  size_t length;
} adoption;

// Stack of an adoption.
enum { ARGUMENT = 1, CHANGED, MEMO, NEEDS, BOUND };

enum { DEPTH_MOST = 250 };  // more than modules can be within each other

static void remember(lua_State *L, const char *path, int result) {
  TH_EFFECT(L, 0);
  lua_pushboolean(L, result);
  lua_setfield(L, MEMO, path);
}

// Whether running the chunk of the path might give something else in the new tree. Chunks may need each other in a
// circle, for a failed require can be caught, and a search finds any file: what leads back to itself, or on and on,
// counts as different, which costs a load and nothing else. The memo makes it O(needs).
static int differs_in(lua_State *L, const char *path, int depth) {
  TH_EFFECT(L, 0);
  int top = lua_gettop(L);
  luaL_checkstack(L, 8, NULL);
  if (lua_getfield(L, MEMO, path) != LUA_TNIL) {
    int known = lua_toboolean(L, -1);
    lua_settop(L, top);
    return known;
  }
  remember(L, path, 1);
  int result = has(L, CHANGED, path) || has(L, BOUND, path) || depth == DEPTH_MOST;
  if (!result && lua_getfield(L, NEEDS, path) == LUA_TTABLE) {
    int needs = lua_gettop(L);
    lua_pushnil(L);
    while (!result && lua_next(L, needs)) {
      lua_pop(L, 1);
      result = differs_in(L, lua_tostring(L, -1), depth + 1);
    }
  }
  lua_settop(L, top);
  remember(L, path, result);
  return result;
}

static int differs(lua_State *L, const char *path) { return differs_in(L, path, 0); }

static int has_changed(lua_State *L, const char *path) { return has(L, CHANGED, path); }

static void copy(lua_State *L, int from_ref, int to_ref, int (*is_other)(lua_State *, const char *)) {
  TH_EFFECT(L, 0);
  int top = lua_gettop(L);
  th_get_ref(L, from_ref);
  th_get_ref(L, to_ref);
  lua_pushnil(L);
  while (lua_next(L, top + 1)) {
    if (lua_touserdata(L, -1) == (const void *)&th_unkept || is_other(L, lua_tostring(L, -2))) {
      lua_pop(L, 1);
      continue;
    }
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, top + 2);
  }
  lua_settop(L, top);
}

static int adopt_body(lua_State *L) {
  const adoption *a = lua_touserdata(L, ARGUMENT);
  lua_newtable(L);
  for (const char *path = a->paths; path < a->paths + a->length; path += strlen(path) + 1) {
    lua_pushboolean(L, 1);
    lua_setfield(L, CHANGED, path);
  }
  lua_newtable(L);
  th_get_ref(L, a->old->needs_ref);
  th_get_ref(L, a->old->bound_ref);
  // One that has gone over to fresh chunks is not kept any more; its modules may be.
  for (const th_trigger *t = a->old->triggers; t; t = t->next) {
    if (!t->fresh) continue;
    lua_pushboolean(L, 1);
    lua_setfield(L, MEMO, t->path);
  }
  copy(L, a->old->chunks_ref, a->tree->chunks_ref, has_changed);
  copy(L, a->old->modules_ref, a->tree->modules_ref, differs);
  copy(L, a->old->needs_ref, a->tree->needs_ref, differs);
  // Last: an execute must not be there without its modules.
  copy(L, a->old->executes_ref, a->tree->executes_ref, differs);
  return 0;
}

int th_tree_adopt(th_worker *w, th_tree *tree, const th_tree *old, const char *changed, size_t length) {
  static const th_limits limits = {SIZE_MAX, SIZE_MAX, 0, 0, 0};
  adoption a = {tree, old, changed, length};
  return th_protected(w, adopt_body, &a, &limits) == TH_OK;
}
