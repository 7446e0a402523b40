// Sessions: Lua text evaluated piece by piece in one environment that stays, for the REPL and for script tests.
//
// A session begins with a prelude, run once with the environment as its globals and three arguments:
//   call(name, argument)   asks the host (th_host.call); raises the host's error text
//   describe(intent)       {kind, store, key, value} of a prepared intent, nil for any other value
//   ctx
// It returns the session's entry: a function that every th_session_run calls with an argument and, when there is
// one, a compiled chunk. Each run is an attempt with limits of its own, and can be ended like any other; what the
// environment holds stays. Modules are loaded as for a trigger whose chunks run anew, once for the session.
#include <stdlib.h>
#include <string.h>
#include "api/th_api.h"

struct th_session {
  th_worker *worker;
  th_tree *tree;
  th_trigger *trigger;   // stands in for one, so that chunks run in fresh mode
  int environment_ref, entry_ref;
};

typedef struct piece {
  th_session *session;
  const char *name, *text; size_t length;      // text may be NULL
  const uint8_t *argument; size_t argument_length;
  int compiles;                                // set when the text is good Lua
} piece;

static int host_call(lua_State *L) {
  th_worker *w = th_worker_of(L);
  th_output *scratch = &w->runner->scratch;
  size_t name_length, result_length = 0;
  const char *name = luaL_checklstring(L, 1, &name_length);
  const uint8_t *result = NULL;
  scratch->bytes_length = 0;
  if (lua_isnoneornil(L, 2)) { lua_settop(L, 1); th_push_null(L); }
  th_encode_named(L, 2, scratch, w->limits, name);
  int failed = w->host.call(w->attempt, name, name_length, scratch->bytes, scratch->bytes_length, &result, &result_length);
  th_check(L);
  if (failed) {
    lua_pushlstring(L, (const char *)result, result_length);
    return lua_error(L);
  }
  if (!result) return 0;
  th_decode(L, result, result_length);
  return 1;
}

static void push_compiled(lua_State *L, piece *p) {
  TH_EFFECT(L, 1);
  th_compile(L, p->text, p->length, p->name);
  th_get_ref(L, p->session->environment_ref);
  lua_setupvalue(L, -2, 1);
  p->compiles = 1;
}

// --- opening

static int open_body(lua_State *L) {
  piece *p = lua_touserdata(L, 1);
  th_session *s = p->session;
  struct th_runner *r = s->worker->runner;
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushglobaltable(L);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  s->environment_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  lua_rawseti(L, LUA_REGISTRYINDEX, r->fresh_ref);
  push_compiled(L, p);
  lua_pushcfunction(L, host_call);
  lua_pushcfunction(L, th_intent_fields);
  th_get_ref(L, r->ctx_ref);
  lua_call(L, 3, 1);
  luaL_checktype(L, -1, LUA_TFUNCTION);
  s->entry_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

static int protected(th_session *s, lua_CFunction body, piece *p, const th_limits *limits) {
  th_worker *w = s->worker;
  w->runner->trigger = s->trigger;
  w->tree = s->tree;
  int status = th_protected(w, body, p, limits);
  w->runner->trigger = NULL;
  w->tree = NULL;
  return status;
}

th_session *th_session_new(th_worker *w, th_tree *tree, const char *prelude, size_t length) {
  static const th_limits limits = {64u << 20, 16u << 20, 64, 0, 0};
  th_session *s = calloc(1, sizeof *s);
  if (s) s->trigger = calloc(1, sizeof *s->trigger + 1);
  if (!s || !s->trigger) { free(s); th_set_error(w, "not enough memory", 17); return NULL; }
  s->worker = w;
  s->tree = tree;
  s->environment_ref = s->entry_ref = LUA_NOREF;
  s->trigger->tree = tree;
  s->trigger->fresh = s->trigger->lasting = 1;
  s->trigger->room = TH_ROOM_MOST - 1;
  piece p = {.session = s, .name = "=[session]", .text = prelude, .length = length};
  if (protected(s, open_body, &p, &limits) == TH_OK) return s;
  th_session_free(s);
  return NULL;
}

// --- running

static int run_body(lua_State *L) {
  piece *p = lua_touserdata(L, 1);
  th_worker *w = p->session->worker;
  w->clock_ns = w->info->admission_ns;
  th_seed(w, w->info->random_seed);
  th_get_ref(L, p->session->entry_ref);
  th_decode(L, p->argument, p->argument_length);
  if (p->text) push_compiled(L, p); else { lua_pushnil(L); p->compiles = 1; }
  lua_call(L, 2, 0);
  return 0;
}

static int is_incomplete(const th_worker *w) {
  static const char end[] = "near <eof>";
  size_t n = w->error_length;
  const char *line = memchr(w->error, '\n', n);
  if (line) n = (size_t)(line - w->error);
  return n >= sizeof end - 1 && memcmp(w->error + n - (sizeof end - 1), end, sizeof end - 1) == 0;
}

int th_session_run(th_session *s, void *attempt, const th_attempt_info *info, const char *name, const char *text,
                   size_t length, const uint8_t *argument, size_t argument_length, const th_limits *limits,
                   th_output *output) {
  th_worker *w = s->worker;
  piece p = {s, name, text, length, argument, argument_length, 0};
  w->attempt = attempt;
  w->info = info;
  w->output = output;
  int status = protected(s, run_body, &p, limits);
  w->attempt = NULL;
  w->info = NULL;
  w->output = NULL;
  if (status == TH_SCRIPT_ERROR && !p.compiles) return is_incomplete(w) ? TH_INCOMPLETE : TH_NOT_LUA;
  return status;
}

void th_session_free(th_session *s) {
  luaL_unref(s->worker->main, LUA_REGISTRYINDEX, s->environment_ref);
  luaL_unref(s->worker->main, LUA_REGISTRYINDEX, s->entry_ref);
  free(s->trigger);
  free(s);
}
