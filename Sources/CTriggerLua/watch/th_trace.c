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
#include "watch/th_watch.h"

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

_Static_assert(LOOKED_AT == 64, "a bit for each");

static int before(const item *a, const char *name, size_t length) {
  size_t n = a->length < length ? a->length : length;
  int order = memcmp(a->name, name, n);
  return order < 0 || (order == 0 && a->length < length);
}

// What a table has, by one walk. Nothing else is asked of it: where there are holes, its length and even its elements by
// number move the mark that `#` goes by (luaH_getn, luaH_getint), and the script would go on differently.
typedef struct content {
  item fields[SHOWN];
  int fields_kept;  // the first of the named ones in byte order
  int count;        // of all keys; more than LOOKED_AT: nobody looked further
  uint64_t numbers; // which of 1 to LOOKED_AT are keys
} content;

static void keep_field(content *c, lua_State *L, int depth) {
  size_t length;
  const char *name = lua_tolstring(L, -2, &length);
  int place = c->fields_kept;
  while (place > 0 && !before(&c->fields[place - 1], name, length)) place--;
  if (place >= SHOWN) return;
  if (c->fields_kept < SHOWN) c->fields_kept++;
  memmove(&c->fields[place + 1], &c->fields[place], (size_t)(c->fields_kept - 1 - place) * sizeof *c->fields);
  c->fields[place].name = name;
  c->fields[place].length = length;
  text value = {c->fields[place].value, 0, ITEM_BYTES};
  add_value(&value, L, lua_gettop(L), depth + 1);
  c->fields[place].value[value.length] = 0;
}

// The first elements go to the stack, from `base` on.
static void look_at(content *c, lua_State *L, int table, int base, int depth) {
  lua_pushnil(L);
  while (lua_next(L, table)) {
    if (++c->count > LOOKED_AT) { lua_pop(L, 2); return; }
    if (lua_isinteger(L, -2)) {
      lua_Integer key = lua_tointeger(L, -2);
      if (key >= 1 && key <= LOOKED_AT) c->numbers |= UINT64_C(1) << (key - 1);
      if (key >= 1 && key <= SHOWN) lua_copy(L, -1, base + (int)key - 1);
    } else if (lua_type(L, -2) == LUA_TSTRING) {
      keep_field(c, L, depth);
    }
    lua_pop(L, 1);
  }
}

static void add_table(text *t, lua_State *L, int index, int depth) {
  TH_EFFECT(L, 0);
  int top = lua_gettop(L);
  if (!lua_checkstack(L, SHOWN + 8)) { add(t, "{...}"); return; }
  if (th_frozen_content(L, index)) index = top + 1;
  int base = lua_gettop(L) + 1, elements = 0, written = 0;
  for (int i = 0; i < SHOWN; i++) lua_pushnil(L);
  content c = {.count = 0};
  look_at(&c, L, index, base, depth);
  while (elements < LOOKED_AT && c.numbers >> elements & 1) elements++;
  int is_all = c.count <= LOOKED_AT;
  // Which of many fields come first would be chance; the elements of an array do.
  if (!is_all) c.fields_kept = 0;
  if (!is_all && elements < LOOKED_AT) elements = 0;
  add(t, "{");
  for (; written < elements && written < SHOWN; written++) {
    if (written) add(t, ", ");
    add_value(t, L, base + written, depth + 1);
  }
  for (int i = 0; i < c.fields_kept; i++, written++) {
    int n = (int)th_cut(c.fields[i].name, c.fields[i].length, NAME_BYTES);
    add(t, "%s%.*s = %s", written ? ", " : "", n, c.fields[i].name, c.fields[i].value);
  }
  const char *comma = written ? ", " : "";
  if (!is_all) add(t, elements ? "%s... many}" : "%s... many fields}", comma);
  else if (c.count == written) add(t, "}");
  else add(t, "%s... %d in all}", comma, c.count);
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
