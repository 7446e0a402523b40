// Freezing: what a loaded chunk leaves behind is kept between executions when nothing reachable from it
// can change.
//
// A frozen table stays the same object for everyone who refers to it, but its content moves to a second
// table; the first one is empty and has a private metatable (its guard):
//
//     table (empty) --guard--> __index = content, __newindex = refuse or abandon,
//                              __len, every other metamethod of the original metatable
//     content       --metatable--> content of the original metatable
//
// A metatable is read raw by the VM, so a frozen table serves as metatable through its content; the
// worker keeps the way from content to table for getmetatable. A function in __index must not see
// the content (it could write to it), so the guard then asks through `index_by_function`.
//
// A script must not see the guards either. `error` and tracebacks pass over their frames (th_is_guard), and what Lua
// itself limits (C calls, its stack, chains of __index) is reached sooner through them: a run that meets such a limit is
// given up, and runs anew (th_check_limit).
#include <limits.h>
#include <string.h>
#include "frozen/th_frozen.h"

int th_frozen_write(lua_State *L) {
  th_worker *w = th_worker_of(L);
  struct th_runner *r = w->runner;
  if (!r->trigger || r->fresh) return luaL_error(L, "attempt to change a read-only table");
  w->abandoned = TH_FROZEN_WRITTEN;
  return th_raise_end(L);
}

// Replaces the content on top by the table that stands for it, if there is one. [-0, +0]
static int show_instead(lua_State *L, int proxies_ref) {
  TH_EFFECT(L, 0);
  th_get_ref(L, proxies_ref);
  lua_pushvalue(L, -2);
  int found = lua_rawget(L, -2) == LUA_TTABLE;
  if (found) lua_replace(L, -3); else lua_pop(L, 1);
  lua_pop(L, 1);
  return found;
}

int th_shown_metatable(lua_State *L, int index) {
  TH_EFFECT_BETWEEN(L, 0, 1);
  th_worker *w = th_worker_of(L);
  int content = th_frozen_content(L, index);
  if (!lua_getmetatable(L, content ? -1 : index)) { lua_pop(L, content); return 0; }
  if (content) lua_remove(L, -2);
  th_get_ref(L, w->runner->array_ref);
  int hidden = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  if (hidden) { lua_pop(L, 1); return 0; }
  // What is kept serves as metatable by its content, which nobody may write to.
  if (!show_instead(L, w->runner->libraries_ref)) show_instead(L, w->runner->proxies_ref);
  return 1;
}

// --- the scan

// Stack of a scan, relative to its base.
enum { SEEN = 1, QUEUE, SCRATCH };

typedef struct scan { lua_State *L; int base; lua_Integer length; int kept; th_tree *tree; } scan;

// Whether the table on top is the content of a kept table or library.
static int is_content(lua_State *L, int proxies_ref) {
  TH_EFFECT(L, 0);
  th_get_ref(L, proxies_ref);
  lua_pushvalue(L, -2);
  int found = lua_rawget(L, -2) == LUA_TTABLE;
  lua_pop(L, 2);
  return found;
}

// The content of something frozen met as metatable, or the mark of arrays. Value on top stays.
static int known_metatable(scan *s) {
  lua_State *L = s->L;
  struct th_runner *r = th_worker_of(L)->runner;
  th_get_ref(L, r->array_ref);
  int known = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return known || is_content(L, r->libraries_ref) || is_content(L, r->proxies_ref);
}

// Puts the value on top into the queue if it can hold state, and pops it. [-1, +0]
static void meet(scan *s) {
  lua_State *L = s->L;
  TH_EFFECT(L, -1);
  switch (lua_type(L, -1)) {
    case LUA_TTHREAD: case LUA_TUSERDATA: s->kept = 0; break;
    case LUA_TFUNCTION:
      if (lua_getupvalue(L, -1, 1) == NULL) break;  // nothing behind it
      lua_pop(L, 1);
      goto queue;
    case LUA_TTABLE:
      if (th_frozen_content(L, -1)) { lua_pop(L, 1); break; }
    queue:
      lua_pushvalue(L, -1);
      if (lua_rawget(L, s->base + SEEN) == LUA_TNIL) {
        lua_pushvalue(L, -2);
        lua_pushboolean(L, 1);
        lua_rawset(L, s->base + SEEN);
        lua_pushvalue(L, -2);
        lua_rawseti(L, s->base + QUEUE, ++s->length);
      }
      lua_pop(L, 1);
      break;
    default: break;
  }
  lua_pop(L, 1);
}

// A library's function names itself in its errors after what called it, and that would be the guard.
static int calls_library(lua_State *L, int metatable) {
  TH_EFFECT(L, 0);
  static const char *const names[] = {"__index", "__newindex", NULL};
  int found = 0;
  for (const char *const *name = names; *name && !found; name++) {
    lua_pushstring(L, *name);
    lua_rawget(L, metatable);
    found = lua_iscfunction(L, -1);
    lua_pop(L, 1);
  }
  return found;
}

static void scan_table(scan *s, int table) {
  lua_State *L = s->L;
  TH_EFFECT(L, 0);
  unsigned steps = 0;
  lua_pushnil(L);
  while (lua_next(L, table)) {
    th_step(L, steps, 1);
    meet(s);
    lua_pushvalue(L, -1);
    meet(s);
  }
  if (lua_getmetatable(L, table)) {
    if (calls_library(L, lua_gettop(L))) s->kept = 0;
    if (known_metatable(s)) lua_pop(L, 1); else meet(s);
  }
}

// A C function with upvalues may move them on, as the iterators of gmatch and pairs do.
static void scan_function(scan *s, int function) {
  lua_State *L = s->L;
  TH_EFFECT(L, 0);
  lua_CFunction c = lua_tocfunction(L, function);
  if (c ? !th_is_constant_closure(c) : th_assigns_upvalues(L)) { s->kept = 0; return; }
  for (int i = 1; lua_getupvalue(L, function, i); i++) meet(s);
}

static void scan_all(scan *s) {
  lua_State *L = s->L;
  for (lua_Integer i = 1; i <= s->length && s->kept; i++) {
    th_check(L);
    int type = lua_rawgeti(L, s->base + QUEUE, i);
    int item = lua_gettop(L);
    if (type == LUA_TTABLE) scan_table(s, item); else scan_function(s, item);
    lua_settop(L, item - 1);
  }
}

// --- guards

static void note_call(lua_State *L) { th_worker_of(L)->runner->guards_called = 1; }

static int guard_length(lua_State *L) {
  note_call(L);
  lua_pushinteger(L, (lua_Integer)lua_rawlen(L, lua_upvalueindex(1)));
  return 1;
}

static int end_write(lua_State *L, int status, lua_KContext context) {
  (void)L; (void)status; (void)context;
  return 0;
}

// upvalues: content, the original __newindex or nil. (t, k, v)
static int guard_write(lua_State *L) {
  note_call(L);
  lua_settop(L, 3);
  if (!lua_isnil(L, lua_upvalueindex(2))) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL) {
      lua_pop(L, 1);
      lua_pushvalue(L, lua_upvalueindex(2));
      if (lua_isfunction(L, -1)) {
        lua_insert(L, 1);
        lua_callk(L, 3, 0, 0, end_write);
      } else {
        lua_insert(L, 2);
        lua_settable(L, 2);
      }
      return 0;
    }
  }
  return th_frozen_write(L);
}

static int end_index(lua_State *L, int status, lua_KContext context) {
  (void)L; (void)status; (void)context;
  return 1;
}

// upvalues: content, the original __index (a function). (t, k)
static int index_by_function(lua_State *L) {
  note_call(L);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_callk(L, 2, 1, 0, end_index);
  return 1;
}

int th_is_guard(lua_State *L, lua_State *of, lua_Debug *ar) {
  TH_EFFECT(L, 0);
  lua_getinfo(of, "S", ar);
  if (*ar->what != 'C' || !lua_checkstack(of, 1)) return 0;
  lua_getinfo(of, "f", ar);
  lua_CFunction function = lua_tocfunction(of, -1);
  lua_pop(of, 1);
  return function == index_by_function || function == guard_write;
}

// Sets guard[name] to a closure over content and the value on top (popped). [-1, +0]
static void guard_by(lua_State *L, int guard, int content, const char *name, lua_CFunction f) {
  TH_EFFECT(L, -1);
  lua_pushvalue(L, content);
  lua_insert(L, -2);
  lua_pushcclosure(L, f, 2);
  lua_setfield(L, guard, name);
}

static int is_event_name(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TSTRING && strncmp(lua_tostring(L, index), "__", 2) == 0;
}

// Pushes a guard for content whose original metatable has its fields in the table at `events` (0: none).
static void push_guard(lua_State *L, int content, int events) {
  TH_EFFECT(L, 1);
  lua_createtable(L, 0, 5);
  int guard = lua_gettop(L);
  if (events) {
    lua_pushnil(L);
    while (lua_next(L, events)) {
      if (is_event_name(L, -2)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, guard);
      } else {
        lua_pop(L, 1);
      }
    }
  }
  lua_pushvalue(L, content);
  lua_rawsetp(L, guard, &th_content_key);
  lua_getfield(L, guard, "__newindex");
  guard_by(L, guard, content, "__newindex", guard_write);
  if (lua_getfield(L, guard, "__index") == LUA_TFUNCTION) {
    guard_by(L, guard, content, "__index", index_by_function);
  } else {
    lua_pop(L, 1);
    lua_pushvalue(L, content);
    lua_setfield(L, guard, "__index");
  }
  if (lua_getfield(L, guard, "__len") == LUA_TNIL) {
    lua_pushvalue(L, content);
    lua_pushcclosure(L, guard_length, 1);
    lua_setfield(L, guard, "__len");
  }
  lua_pop(L, 1);
}

static void move_content(lua_State *L, int from, int to) {
  TH_EFFECT(L, 0);
  unsigned steps = 0;
  lua_pushnil(L);
  while (lua_next(L, from)) {
    th_step(L, steps, 1);
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, to);
  }
}

static void clear(lua_State *L, int table) {
  TH_EFFECT(L, 0);
  lua_pushnil(L);
  while (lua_next(L, table)) {  // assigning nil to an existing field is allowed during next
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, table);
  }
}

// Pushes a table that the content of another fits into, and that has its length then. The length of a table with holes
// is one of several that it could be (`#` in Lua's manual), and follows from how the table came to be: an array part
// that ends at the wanted one, and a place for every other key, decide it. Returns 0, with nothing pushed, for the table
// that has a length out of proportion to its keys. [-0, +(0|1)]
static int push_as_long(lua_State *L, int table) {
  TH_EFFECT_BETWEEN(L, 0, 1);
  size_t length = lua_rawlen(L, table), keys = 0, others = 0;
  unsigned steps = 0;
  lua_pushnil(L);
  while (lua_next(L, table)) {
    th_step(L, steps, 1);
    lua_pop(L, 1);
    keys++;
    others += !lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1 || (size_t)lua_tointeger(L, -1) > length;
  }
  if (length > 2 * keys + 64 || others > INT_MAX / 2 || length > INT_MAX / 2) return 0;
  lua_createtable(L, (int)length, (int)others);
  return 1;
}

// First pass: SCRATCH[table] = content. Only copies; an error here leaves everything as it was.
static void copy_contents(scan *s) {
  lua_State *L = s->L;
  for (lua_Integer i = 1; i <= s->length && s->kept; i++) {
    if (lua_rawgeti(L, s->base + QUEUE, i) == LUA_TTABLE) {
      int table = lua_gettop(L);
      if (!push_as_long(L, table)) { s->kept = 0; lua_pop(L, 1); return; }
      move_content(L, table, table + 1);
      lua_pushvalue(L, table);
      lua_pushvalue(L, table + 1);
      lua_rawset(L, s->base + SCRATCH);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
}

// Second pass: content and table get their metatables, the table is emptied.
static void freeze_one(scan *s, int table) {
  lua_State *L = s->L;
  lua_pushvalue(L, table);
  lua_rawget(L, s->base + SCRATCH);
  int content = table + 1, events = 0;
  if (lua_getmetatable(L, table)) {
    events = table + 2;
    lua_pushvalue(L, events);
    if (lua_rawget(L, s->base + SCRATCH) == LUA_TTABLE) lua_replace(L, events); else lua_pop(L, 1);
    lua_pushvalue(L, events);
    lua_setmetatable(L, content);
  }
  th_get_ref(L, th_worker_of(L)->runner->proxies_ref);
  lua_pushvalue(L, content);
  lua_pushvalue(L, table);
  lua_rawset(L, -3);
  push_guard(L, content, events);
  clear(L, table);
  lua_setmetatable(L, table);
}

int th_freeze(lua_State *L, int index, th_tree *tree) {
  TH_EFFECT(L, 0);
  index = lua_absindex(L, index);
  luaL_checkstack(L, 24, NULL);
  int base = lua_gettop(L);
  scan s = {L, base, 0, 1, tree};
  for (int i = SEEN; i <= SCRATCH; i++) lua_newtable(L);
  lua_pushvalue(L, index);
  meet(&s);
  scan_all(&s);
  if (s.kept) {
    copy_contents(&s);
    for (lua_Integer i = 1; i <= s.length && s.kept; i++) {
      if (lua_rawgeti(L, base + QUEUE, i) == LUA_TTABLE) freeze_one(&s, lua_gettop(L));
      lua_settop(L, base + SCRATCH);
    }
  }
  lua_settop(L, base);
  return s.kept;
}

void th_freeze_library(lua_State *L, const char *name, lua_CFunction write) {
  TH_EFFECT(L, 0);
  luaL_checkstack(L, 12, NULL);
  int table = lua_gettop(L);
  lua_newtable(L);
  move_content(L, table, table + 1);
  th_get_ref(L, th_worker_of(L)->runner->libraries_ref);
  lua_pushvalue(L, table + 1);
  lua_pushvalue(L, table);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  push_guard(L, table + 1, 0);
  lua_pushstring(L, name);
  lua_pushcclosure(L, write, 1);
  lua_setfield(L, -2, "__newindex");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  clear(L, table);
  lua_setmetatable(L, table);
  lua_settop(L, table);
}
