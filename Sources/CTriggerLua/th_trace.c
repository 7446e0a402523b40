// Line tracing: before each line of a script, where it is and which local variables of its function have
// changed since the function's line before.
//
// A traced run must give what any other gives, so nothing here allocates from Lua, calls a metamethod or
// raises: values are written into a buffer on the C stack, tables are looked at raw, and what was shown last is
// kept as a hash per frame and local variable.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "th_runner.h"

enum {
  KEPT = 1024,          // local variables whose last text is known; the oldest is forgotten first
  LOCALS = 60,          // looked at per line
  TEXT_BYTES = 4096,    // of all changes of one line
  VALUE_BYTES = 160,    // of one value
  STRING_BYTES = 60,    // shown of a string
  SHOWN = 8, LOOKED_AT = 64, NAME_BYTES = 32, ITEM_BYTES = 64,  // of a table
};

typedef struct shown { const void *frame; int local; uint64_t hash; } shown;

struct th_tracer {
  th_trace trace;
  void *context;
  shown kept[KEPT];
  int length, next;  // `next` is written next once all places are taken
};

int th_worker_set_trace(th_worker *w, th_trace trace, void *context) {
  free(w->tracer);
  w->tracer = NULL;
  if (!trace) return 1;
  w->tracer = calloc(1, sizeof *w->tracer);
  if (!w->tracer) return 0;
  w->tracer->trace = trace;
  w->tracer->context = context;
  return 1;
}

void th_trace_begin(th_worker *w, lua_State *L) {
  w->tracer->length = w->tracer->next = 0;
  lua_sethook(L, th_end_hook, TH_TRACE_MASK, 0);
}

void th_trace_again(th_worker *w) { w->tracer->trace(w->tracer->context, "", 0, "", 0); }

// --- text of values

typedef struct text { char *bytes; size_t length, room; } text;

__attribute__((format(printf, 2, 3)))
static void add(text *t, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(t->bytes + t->length, t->room - t->length, format, arguments);
  va_end(arguments);
  if (n > 0) t->length += (size_t)n;
  if (t->length >= t->room) {  // cut: the end says so
    t->length = t->room - 1;
    if (t->length < 3) return;
    t->length = th_cut(t->bytes, t->length, t->length - 3);
    memcpy(t->bytes + t->length, "...", 3);
    t->length += 3;
    t->room = t->length + 1;  // and nothing comes after it
  }
}

// Control bytes are escaped and a cut never splits a UTF-8 sequence.
static void add_string(text *t, const char *bytes, size_t length) {
  size_t n = th_cut(bytes, length, STRING_BYTES);
  add(t, "\"");
  for (size_t i = 0; i < n; i++) {
    uint8_t c = (uint8_t)bytes[i];
    if (c == '"' || c == '\\') add(t, "\\%c", c);
    else if (c == '\n') add(t, "\\n");
    else if (c < 0x20 || c == 0x7f) add(t, "\\x%02x", c);
    else add(t, "%c", c);
  }
  add(t, n < length ? "...\"" : "\"");
}

static void add_value(text *t, lua_State *L, int index, int depth);

typedef struct item { const char *name; size_t length; char value[ITEM_BYTES]; } item;

static int before(const item *a, const char *name, size_t length) {
  size_t n = a->length < length ? a->length : length;
  int order = memcmp(a->name, name, n);
  return order < 0 || (order == 0 && a->length < length);
}

// The named fields in byte order: `items` gets the first of them. Returns how many there are beside the
// elements; -1 for more than LOOKED_AT: which of them come first would be chance.
static int named_fields(lua_State *L, int table, lua_Integer elements, item *items, int *kept, int depth) {
  int count = 0;
  *kept = 0;
  lua_pushnil(L);
  while (lua_next(L, table)) {
    if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 && lua_tointeger(L, -2) <= elements) { lua_pop(L, 1); continue; }
    if (++count > LOOKED_AT) { lua_pop(L, 2); *kept = 0; return -1; }
    if (lua_type(L, -2) != LUA_TSTRING) { lua_pop(L, 1); continue; }
    size_t length;
    const char *name = lua_tolstring(L, -2, &length);
    int place = *kept;
    while (place > 0 && !before(&items[place - 1], name, length)) place--;
    if (place < SHOWN) {
      if (*kept < SHOWN) ++*kept;
      memmove(&items[place + 1], &items[place], (size_t)(*kept - 1 - place) * sizeof *items);
      items[place].name = name;
      items[place].length = length;
      text value = {items[place].value, 0, ITEM_BYTES};
      add_value(&value, L, lua_gettop(L), depth + 1);
      items[place].value[value.length] = 0;
    }
    lua_pop(L, 1);
  }
  return count;
}

static void add_table(text *t, lua_State *L, int index, int depth) {
  TH_EFFECT(L, 0);
  int top = lua_gettop(L);
  if (th_frozen_content(L, index)) index = top + 1;
  lua_Integer elements = (lua_Integer)lua_rawlen(L, index);
  int written = 0;
  add(t, "{");
  for (lua_Integer i = 1; i <= elements && i <= SHOWN; i++, written++) {
    lua_rawgeti(L, index, i);
    if (written) add(t, ", ");
    add_value(t, L, lua_gettop(L), depth + 1);
    lua_pop(L, 1);
  }
  item items[SHOWN];
  int kept = 0;
  // A long array is not gone through for the fields it may have beside its elements.
  int fields = elements <= LOOKED_AT ? named_fields(L, index, elements, items, &kept, depth) : 0;
  for (int i = 0; i < kept; i++, written++) {
    int n = (int)th_cut(items[i].name, items[i].length, NAME_BYTES);
    add(t, "%s%.*s = %s", written ? ", " : "", n, items[i].name, items[i].value);
  }
  if (fields < 0) add(t, "... many fields}");
  else if (elements + fields == written) add(t, "}");
  else add(t, "%s... %lld in all}", written ? ", " : "", (long long)elements + fields);
  lua_settop(L, top);
}

static void add_number(text *t, lua_State *L, int index) {
  if (lua_isinteger(L, index)) { add(t, "%lld", (long long)lua_tointeger(L, index)); return; }
  char digits[40];
  snprintf(digits, sizeof digits, "%.14g", lua_tonumber(L, index));
  add(t, strspn(digits, "-0123456789") == strlen(digits) ? "%s.0" : "%s", digits);
}

static void add_value(text *t, lua_State *L, int index, int depth) {
  TH_EFFECT(L, 0);
  size_t length;
  switch (lua_type(L, index)) {
    case LUA_TNIL: add(t, "nil"); break;
    case LUA_TBOOLEAN: add(t, lua_toboolean(L, index) ? "true" : "false"); break;
    case LUA_TNUMBER: add_number(t, L, index); break;
    case LUA_TSTRING: {
      const char *bytes = lua_tolstring(L, index, &length);
      add_string(t, bytes, length);
      break;
    }
    case LUA_TLIGHTUSERDATA: add(t, lua_touserdata(L, index) ? "userdata" : "null"); break;
    case LUA_TTABLE: if (depth < 2) add_table(t, L, index, depth); else add(t, "{...}"); break;
    default: add(t, "%s", lua_typename(L, lua_type(L, index))); break;
  }
}

// --- what has changed

static uint64_t hash_of(const text *t) {
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (size_t i = 0; i < t->length; i++) hash = (hash ^ (uint8_t)t->bytes[i]) * 0x100000001b3u;
  return hash;
}

// True when the text of a local variable is not what it was; remembers the new one.
static int has_changed(struct th_tracer *r, const void *frame, int local, uint64_t hash) {
  for (int i = 0; i < r->length; i++) {
    if (r->kept[i].frame != frame || r->kept[i].local != local) continue;
    int changed = r->kept[i].hash != hash;
    r->kept[i].hash = hash;
    return changed;
  }
  int place = r->length < KEPT ? r->length++ : (r->next = (r->next + 1) % KEPT);
  r->kept[place] = (shown){frame, local, hash};
  return 1;
}

// A function begins: another one may have used its frame.
static void forget(struct th_tracer *r, const void *frame) {
  int kept = 0;
  for (int i = 0; i < r->length; i++) if (r->kept[i].frame != frame) r->kept[kept++] = r->kept[i];
  r->length = kept;
  if (r->next >= kept) r->next = 0;
}

static void add_changes(text *t, struct th_tracer *r, lua_State *L, lua_Debug *ar) {
  TH_EFFECT(L, 0);
  for (int local = 1; local <= LOCALS; local++) {
    const char *name = lua_getlocal(L, ar, local);
    if (!name) return;
    char bytes[VALUE_BYTES];
    text value = {bytes, 0, sizeof bytes};
    int type = lua_type(L, -1);
    // "(temporary)" and the like belong to the VM; functions and handles have nothing to show.
    if (*name != '(' && type != LUA_TFUNCTION && type != LUA_TUSERDATA && type != LUA_TTHREAD) {
      add_value(&value, L, lua_gettop(L), 0);
      uint64_t hash = hash_of(&value) ^ (uintptr_t)name;  // a scope that ends gives its place to another name
      if (has_changed(r, ar->i_ci, local, hash))
        add(t, "%s%s = %.*s", t->length ? ", " : "", name, (int)value.length, bytes);
    }
    lua_pop(L, 1);
  }
}

void th_trace_event(th_worker *w, lua_State *L, lua_Debug *ar) {
  struct th_tracer *r = w->tracer;
  if (ar->event != LUA_HOOKLINE) { forget(r, ar->i_ci); return; }
  char bytes[TEXT_BYTES];
  text changes = {bytes, 0, sizeof bytes};
  lua_getinfo(L, "S", ar);
  add_changes(&changes, r, L, ar);
  const char *path = *ar->source == '@' ? ar->source + 1 : ar->short_src;
  if (r->trace(r->context, path, ar->currentline, bytes, changes.length)) return;
  th_worker_set_trace(w, NULL, NULL);
  lua_sethook(L, NULL, 0, 0);
}
