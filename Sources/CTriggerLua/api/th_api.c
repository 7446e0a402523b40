// ctx and print. ctx is one userdata per worker: what it shows is the attempt in progress. Its methods
// are found by the VM in a plain table; only its fields and unknown names reach C.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "api/th_api.h"

static const th_attempt_info *check_ctx(lua_State *L, const char *method) {
  const th_attempt_info *info = th_worker_of(L)->info;
  if (lua_type(L, 1) != LUA_TUSERDATA) luaL_error(L, "call it with a colon: ctx:%s(...)", method);
  if (!info) luaL_error(L, "ctx:%s works in execute only", method);
  return info;
}

static void push_time(lua_State *L, const th_attempt_info *info) {
  lua_pushnumber(L, (lua_Number)info->admission_ns / 1e9);
}

static int ctx_now(lua_State *L) {
  push_time(L, check_ctx(L, "now"));
  return 1;
}

// A payload that is nil or missing is an empty map, so that `event.field` works in every receiver.
static int ctx_emit(lua_State *L) {
  check_ctx(L, "emit");
  th_worker *w = th_worker_of(L);
  size_t length;
  const char *name = th_check_key(L, 2, &length, "ctx:emit: the event's name");
  lua_settop(L, 3);
  if (lua_isnil(L, 3)) { lua_newtable(L); lua_replace(L, 3); }
  th_prepare(L, TH_EMIT, NULL, name, length);
  th_encode_named(L, 3, w->output, w->limits, "payload");
  return th_prepared(L);
}

// --- messages

// What the host adds to a message, and what belongs to its protocol, is not the script's to say.
static void check_message(lua_State *L, const char *method, const th_output *o) {
  TH_EFFECT(L, 0);
  size_t offset = o->intents[o->intents_length].value_offset, length = o->bytes_length - offset, n;
  const uint8_t *message = o->bytes + offset;
  if (*message >> 5 != 5) luaL_error(L, "ctx:%s: the message must be a table with names, like { type = \"news\" }", method);
  if (th_map_field(L, message, length, "token", &n))
    luaL_error(L, "ctx:%s: the message has a field 'token', which the host adds; use another name", method);
  const uint8_t *type = th_map_field(L, message, length, "type", &n);
  if (!type) return;
  if (*type >> 5 != 3) luaL_error(L, "ctx:%s: the message's type must be a text", method);
  unsigned low = *type & 31;
  size_t head = low < 24 ? 1 : 1 + ((size_t)1 << (low - 24));
  if (n > head && type[head] == '$')
    luaL_error(L, "ctx:%s: the message's type begins with '$', as those of the host do; use another one", method);
}

static int message_to(lua_State *L, int kind, const char *method, const char *what) {
  check_ctx(L, method);
  th_worker *w = th_worker_of(L);
  size_t length;
  const char *key = th_check_key(L, 2, &length, what);
  lua_settop(L, 3);
  if (lua_type(L, 3) != LUA_TTABLE && lua_type(L, 3) != LUA_TUSERDATA)
    luaL_error(L, "ctx:%s: the message must be a table, not %s", method, luaL_typename(L, 3));
  th_prepare(L, kind, NULL, key, length);
  th_encode_named(L, 3, w->output, w->limits, "message");
  check_message(L, method, w->output);
  return th_prepared(L);
}

static int ctx_send(lua_State *L) { return message_to(L, TH_SEND, "send", "ctx:send: the session"); }
static int ctx_broadcast(lua_State *L) { return message_to(L, TH_BROADCAST, "broadcast", "ctx:broadcast: the topic"); }

// --- log

enum { LOG_MOST = 64 * 1024 };

// Pushes the text with bytes that are not UTF-8 spelt out, cut where it is long.
static const char *push_line(lua_State *L, const char *text, size_t *length) {
  TH_EFFECT(L, 1);
  size_t n = th_cut(text, *length, LOG_MOST), made = 0;
  unsigned steps = 0;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < n && made < LOG_MOST;) {
    unsigned char c = (unsigned char)text[i];
    size_t more = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    th_step(L, steps, 1);
    if (more <= n - i && th_valid_utf8((const uint8_t *)text + i, more)) {
      luaL_addlstring(&b, text + i, more);
      made += more;
      i += more;
    } else {
      char code[8];
      snprintf(code, sizeof code, "\\x%02x", c);
      luaL_addstring(&b, code);
      made += 4;
      i++;
    }
    if (made >= LOG_MOST) n = i;
  }
  if (n < *length) luaL_addstring(&b, "... (cut)");
  luaL_pushresult(&b);
  return lua_tolstring(L, -1, length);
}

static void write_log(lua_State *L, const char *level, const char *text, size_t length,
                      const uint8_t *fields, size_t fields_length) {
  TH_EFFECT(L, 0);
  th_worker *w = th_worker_of(L);
  struct th_runner *r = w->runner;
  if (r->loading && w->info) return;  // a chunk that runs anew said it when it was loaded
  if (r->logs++ < r->logs_to_skip) return;
  int top = lua_gettop(L);
  luaL_checkstack(L, 8, NULL);
  if (length > LOG_MOST || !th_valid_utf8((const uint8_t *)text, length)) text = push_line(L, text, &length);
  luaL_where(L, 1);
  size_t n;
  const char *where = lua_tolstring(L, -1, &n);
  if (n > 2) { lua_pushlstring(L, where, n - 2); where = lua_tostring(L, -1); }
  w->host.log(w->attempt, level, text, length, fields, fields_length, where);
  lua_settop(L, top);
  th_check_held(L);
}

static int encode_fields(lua_State *L) {
  th_worker *w = th_worker_of(L);
  th_encode_named(L, 1, &w->runner->scratch, w->limits, "fields");
  return 0;
}

// What was logged says something even where a machine cannot read it (a key that is not UTF-8, a function) or nobody will
// (it is very long): it becomes text then. Fields are at 4.
static void read_fields(lua_State *L) {
  TH_EFFECT(L, 0);
  th_worker *w = th_worker_of(L);
  th_output *scratch = &w->runner->scratch;
  scratch->bytes_length = 0;
  lua_pushcfunction(L, encode_fields);
  lua_pushvalue(L, 4);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) {
    if (scratch->bytes_length <= LOG_MOST) return;
    lua_pushnil(L);
  } else {
    th_check_limit(L, -1);
  }
  size_t length;
  lua_createtable(L, 0, 1);
  const char *text = th_shown(L, 4, &length);
  push_line(L, text, &length);
  lua_setfield(L, -3, "text");
  scratch->bytes_length = 0;
  th_encode_named(L, lua_gettop(L) - 1, scratch, w->limits, "fields");
  lua_pop(L, 3);
}

static int ctx_log(lua_State *L) {
  static const char *const levels[] = {"debug", "info", "warning", "error", NULL};
  check_ctx(L, "log");
  th_worker *w = th_worker_of(L);
  lua_settop(L, 4);
  const char *level = luaL_checkstring(L, 2);
  if (strcmp(level, "warn") == 0) level = "warning";
  int i = 0;
  while (levels[i] && strcmp(levels[i], level) != 0) i++;
  if (!levels[i]) return luaL_error(L, "ctx:log: no level '%s' (debug, info, warning or error)", level);
  size_t length;
  const char *text = th_shown(L, 3, &length);
  th_output *scratch = &w->runner->scratch;
  scratch->bytes_length = 0;
  if (!lua_isnil(L, 4)) {
    luaL_checktype(L, 4, LUA_TTABLE);
    read_fields(L);
  }
  write_log(L, levels[i], text, length, scratch->bytes_length ? scratch->bytes : NULL, scratch->bytes_length);
  return 0;
}

static int print(lua_State *L) {
  int n = lua_gettop(L);
  luaL_checkstack(L, 2 * n + 4, "too many arguments");
  for (int i = 1; i <= n; i++) {
    if (i > 1) lua_pushliteral(L, "\t");
    th_shown(L, i, NULL);
  }
  if (n) lua_concat(L, n * 2 - 1); else lua_pushliteral(L, "");
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  write_log(L, "info", text, length, NULL, 0);
  return 0;
}

// As in Lua, a single argument like "@on" is a control message; there is nothing here to control.
static int warn(lua_State *L) {
  int n = lua_gettop(L);
  size_t length;
  luaL_checkstring(L, 1);
  for (int i = 2; i <= n; i++) luaL_checkstring(L, i);
  if (n == 1 && *lua_tostring(L, 1) == '@') return 0;
  lua_concat(L, n);
  const char *text = lua_tolstring(L, -1, &length);
  write_log(L, "warning", text, length, NULL, 0);
  return 0;
}

// --- io and debug: as much of them as libraries expect to be there when they load

// (file, ...) or (...): what is written becomes a line of the log, without its last newline. Upvalues: the level,
// whether there is a file.
static int write_texts(lua_State *L) {
  int has_file = lua_toboolean(L, lua_upvalueindex(2)), n = lua_gettop(L);
  size_t length;
  for (int i = 1 + has_file; i <= n; i++) luaL_checkstring(L, i);
  if (n > has_file) lua_concat(L, n - has_file); else lua_pushliteral(L, "");
  const char *text = lua_tolstring(L, -1, &length);
  if (length && text[length - 1] == '\n') length--;
  write_log(L, lua_tostring(L, lua_upvalueindex(1)), text, length, NULL, 0);
  if (has_file) lua_settop(L, 1); else lua_getfield(L, lua_upvalueindex(3), "stdout");
  return 1;
}

static int flush(lua_State *L) { lua_settop(L, 1); return 1; }

static int write_file_field(lua_State *L) { return luaL_error(L, "%s is read-only", lua_tostring(L, lua_upvalueindex(1))); }

static void open_file(lua_State *L, const char *name, const char *level) {
  TH_EFFECT(L, 0);
  lua_createtable(L, 0, 2);
  lua_pushstring(L, level);
  lua_pushboolean(L, 1);
  lua_pushcclosure(L, write_texts, 2);
  lua_setfield(L, -2, "write");
  lua_pushcfunction(L, flush);
  lua_setfield(L, -2, "flush");
  th_freeze_library(L, name, write_file_field);
  lua_setfield(L, -2, name);
}

// The table that gets the libraries is on top.
static void open_io(lua_State *L) {
  TH_EFFECT(L, 0);
  lua_createtable(L, 0, 3);
  open_file(L, "stdout", "info");
  open_file(L, "stderr", "warning");
  lua_pushliteral(L, "info");
  lua_pushboolean(L, 0);
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, write_texts, 3);
  lua_setfield(L, -2, "write");
  lua_setfield(L, -2, "io");
}

// ([thread,] [message [, level]])
static int traceback(lua_State *L) {
  lua_State *of = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  int first = of != L || lua_isthread(L, 1);
  const char *message = lua_tostring(L, first + 1);
  if (!message && !lua_isnoneornil(L, first + 1)) { lua_pushvalue(L, first + 1); return 1; }
  th_traceback(L, of, message, (int)luaL_optinteger(L, first + 2, of == L));
  return 1;
}

static void open_debug(lua_State *L) {
  TH_EFFECT(L, 0);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, traceback);
  lua_setfield(L, -2, "traceback");
  lua_setfield(L, -2, "debug");
}

// (methods, key): fields of the attempt
static int ctx_field(lua_State *L) {
  const th_attempt_info *info = th_worker_of(L)->info;
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (!info) return luaL_error(L, "ctx works in execute only");
  if (strcmp(key, "seq") == 0) lua_pushinteger(L, info->seq);
  else if (strcmp(key, "time") == 0) push_time(L, info);
  else if (strcmp(key, "trigger") == 0) lua_pushlstring(L, info->trigger, info->trigger_length);
  else if (strcmp(key, "event_name") == 0) lua_pushlstring(L, info->event_name, info->event_name_length);
  else return th_unknown_field(L);
  return 1;
}

// --- opening

static int ctx_tostring(lua_State *L) {
  lua_pushliteral(L, "ctx");
  return 1;
}

static int read_only(lua_State *L) { return luaL_error(L, "ctx cannot be changed"); }

static void make_ctx(lua_State *L) {
  TH_EFFECT(L, 0);
  static const luaL_Reg methods[] = {{"now", ctx_now},   {"emit", ctx_emit},           {"send", ctx_send},
                                      {"log", ctx_log}, {"broadcast", ctx_broadcast}, {NULL, NULL}};
  struct th_runner *r = th_worker_of(L)->runner;
  lua_newuserdatauv(L, 1, 0);
  lua_createtable(L, 0, 5);
  luaL_newlib(L, methods);
  th_get_ref(L, r->stores_ref);
  lua_pushcclosure(L, th_ctx_store, 1);
  lua_setfield(L, -2, "store");
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "ctx");
  lua_pushcclosure(L, ctx_field, 1);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, ctx_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, read_only);
  lua_setfield(L, -2, "__newindex");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pushliteral(L, "ctx");
  lua_setfield(L, -2, "__name");
  lua_setmetatable(L, -2);
  r->ctx_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

void th_open_streams(lua_State *L) {
  TH_EFFECT(L, 0);
  open_io(L);
  open_debug(L);
}

void th_open_api(lua_State *L) {
  TH_EFFECT(L, 0);
  lua_pushcfunction(L, print);
  lua_setfield(L, -2, "print");
  lua_pushcfunction(L, warn);
  lua_setfield(L, -2, "warn");
  th_open_stores(L);
  make_ctx(L);
  th_push_null(L);  // the metatable of all light userdata: intents and null
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, th_intent_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

// Names in the table on top become a list in its place.
static void list_names(lua_State *L) {
  TH_EFFECT(L, 0);
  int table = lua_gettop(L);
  if (th_frozen_content(L, table)) lua_replace(L, table);
  lua_Integer n = 0;
  lua_newtable(L);
  th_mark_array(L, -1);
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, table + 1, ++n);
  }
  lua_replace(L, table);
}

// Pushes a table: each global's name to its type, or, for a table, to the list of its names; ctx and store
// likewise.
static void push_names(lua_State *L) {
  TH_EFFECT(L, 1);
  struct th_runner *r = th_worker_of(L)->runner;
  lua_newtable(L);
  int names = lua_gettop(L);
  lua_pushglobaltable(L);
  if (th_frozen_content(L, -1)) lua_remove(L, -2);
  int globals = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, globals)) {
    if (lua_istable(L, -1)) list_names(L); else { lua_pushstring(L, luaL_typename(L, -1)); lua_remove(L, -2); }
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, names);
  }
  th_get_ref(L, r->ctx_ref);
  lua_getmetatable(L, -1);
  lua_getfield(L, -1, "__index");
  list_names(L);
  for (int i = 0; th_ctx_fields[i]; i++) {
    lua_pushstring(L, th_ctx_fields[i]);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
  lua_setfield(L, names, "ctx");
  th_push_store_methods(L);
  list_names(L);
  lua_setfield(L, names, "store");
  lua_settop(L, names);
}

static int names_body(lua_State *L) {
  static const th_limits limits = {SIZE_MAX, 1u << 20, 64, 0, 0};
  th_output *scratch = &th_worker_of(L)->runner->scratch;
  scratch->bytes_length = 0;
  push_names(L);
  th_encode(L, -1, scratch, &limits);
  return 0;
}

int th_worker_names(th_worker *w, uint8_t **bytes, size_t *length) {
  static const th_limits limits = {SIZE_MAX, SIZE_MAX, 0, 0, 0};
  if (th_protected(w, names_body, NULL, &limits) != TH_OK) return 0;
  return th_give_scratch(w, bytes, length);
}
