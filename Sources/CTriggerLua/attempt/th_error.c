// What a worker says of an attempt that failed: the message handler, and the text that th_worker_error gives.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attempt/th_attempt.h"

enum { MESSAGE_BYTES = 6000, ENDING_BYTES = 256 };

// Bytes that are no UTF-8 become one byte each: what reads the text would put three in place of every one.
static void mend_utf8(char *text, size_t length) {
  if (th_valid_utf8((const uint8_t *)text, length)) return;
  for (size_t i = 0, n; i < length; i += n) {
    unsigned char c = (unsigned char)text[i];
    n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (n <= length - i && th_valid_utf8((const uint8_t *)text + i, n)) continue;
    text[i] = '?';
    n = 1;
  }
}

void th_set_error(th_worker *w, const char *text, size_t length) {
  length = th_cut(text, length, TH_ERROR_BYTES - 1);
  memcpy(w->error, text, length);
  mend_utf8(w->error, length);
  w->error[length] = 0;
  w->error_length = length;
}

const char *th_worker_error(const th_worker *w, size_t *length) {
  if (length) *length = w->error_length;
  return w->error;
}

static int to_text(lua_State *L) {
  size_t n;
  th_tostring(L, 1, &n);
  return 1;
}

// `text` has room for ENDING_BYTES.
static const char *ending_text(th_worker *w, const char *place, char *text) {
  if (w->runner->chained)
    snprintf(text, ENDING_BYTES, "%sa table has too many numeric keys that hash alike in its next size: it would grow for "
             "seconds", w->runner->memory_place);
  else if (w->out_of_memory)
    snprintf(text, ENDING_BYTES, "%sout of memory: the attempt reached its limit of %zu bytes%s", w->runner->memory_place,
             w->limits->memory_bytes, w->runner->deep ? " (calls nested very deep: endless recursion?)" : "");
  else
    snprintf(text, ENDING_BYTES, "%s%s", place, atomic_load(&w->kill_reason) == TH_KILL_TIMEOUT
             ? "timeout: the attempt used up its time" : "cancelled");
  return text;
}

static int in_lua(lua_State *L) {
  lua_Debug ar;
  for (int level = 1; level < 50 && lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "S", &ar);
    if (*ar.what != 'C') return 1;
  }
  return 0;
}

// "file:line: " of the innermost frame that has a line.
static void push_place(lua_State *L) {
  TH_EFFECT(L, 1);
  lua_Debug ar;
  for (int level = 1; level < 20 && lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0) continue;
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
    return;
  }
  lua_pushliteral(L, "");
}

static int is_overflow(const char *text, size_t length) {
  static const char end[] = "stack overflow";
  return length >= sizeof end - 1 && memcmp(text + length - (sizeof end - 1), end, sizeof end - 1) == 0;
}

// The message handler: any error object becomes "message\nstack traceback: ...", cut to TH_ERROR_BYTES.
int th_describe(lua_State *L) {
  th_worker *w = th_worker_of(L);
  th_note_limit(L, 1);
  if (w->abandoned) return 1;
  // Again, from a __close on the way out: of those there may be as many as there were calls.
  if (th_ending(w) && w->runner->ending_told) return 1;
  lua_settop(L, 1);
  if (th_ending(w)) {
    char ending[ENDING_BYTES];
    if (w->out_of_memory) lua_pushliteral(L, ""); else push_place(L);
    lua_pushstring(L, ending_text(w, "", ending));
    lua_concat(L, 2);
  } else if (lua_type(L, 1) != LUA_TSTRING) {
    int chunks = w->chunks;
    lua_pushcfunction(L, to_text);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
      th_chunks_unwind(w, chunks);
      th_note_limit(L, -1);
      lua_pushfstring(L, "(error object is a %s value and its __tostring failed)", luaL_typename(L, 1));
    }
  }
  size_t n;
  const char *text = lua_tolstring(L, -1, &n);
  if (!text) text = "(no error text)", n = strlen(text);
  if (is_overflow(text, n)) {
    // Raised by Lua inside of a C function it has no place.
    if (strcmp(text, "C stack overflow") == 0) push_place(L); else lua_pushliteral(L, "");
    lua_pushfstring(L, "%s%s (calls nested very deep: endless recursion?)", lua_tostring(L, -1), text);
    text = lua_tolstring(L, -1, &n);
  }
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addlstring(&b, text, th_cut(text, n, MESSAGE_BYTES));
  if (n > MESSAGE_BYTES) luaL_addstring(&b, "... (cut)");
  luaL_pushresult(&b);
  if (in_lua(L)) th_traceback(L, L, lua_tostring(L, -1), 1);
  if (th_ending(w)) {
    text = lua_tolstring(L, -1, &n);
    th_set_error(w, text, n);
    w->runner->ending_told = 1;
  }
  return 1;
}

void th_take_error(th_worker *w, lua_State *L) {
  if (w->runner->ending_told) return;
  size_t n = 0;
  char ending[ENDING_BYTES];
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
  int in_memory = text && strncmp(text, "not enough memory", n) == 0;
  if (th_ending(w) && (!text || in_memory)) {
    text = ending_text(w, w->runner->memory_place, ending);
    n = strlen(text);
  }
  if (!text) { text = "error in error handling"; n = strlen(text); }
  th_set_error(w, text, n);
}
