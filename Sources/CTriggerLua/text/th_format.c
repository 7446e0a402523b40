// string.format. The format's items are checked and rebuilt before C's snprintf sees them: only the flags that
// mean something, at most two digits of width and precision, no address.
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "text/th_text.h"

enum { SPEC = 16, ROOM = 512 };  // a double printed by %.99f has at most 309 + 1 + 99 characters and a sign

typedef struct item {
  char spec[SPEC];      // "%-5.3" without the conversion
  int length;
  int precision;        // given
  int plain;            // no flag, width or precision
  char conversion;
} item;

static int is_digit(char c) { return c >= '0' && c <= '9'; }

// Reads the item after '%' at *at. `allowed` follows from the conversion, so flags are checked at the end.
static item read_item(lua_State *L, const char **at, const char *end) {
  item it = {.spec = "%", .length = 1};
  const char *s = *at, *start = s;
  while (s < end && *s && strchr("-+ #0", *s) && s - start < 6) s++;
  for (int i = 0; i < 2 && s < end && is_digit(*s); i++) s++;
  if (s < end && *s == '.') {
    it.precision = 1;
    s++;
    for (int i = 0; i < 2 && s < end && is_digit(*s); i++) s++;
  }
  it.conversion = s < end ? *s : 0;
  if (is_digit(it.conversion) || s - start >= SPEC - 6) {
    luaL_error(L, "invalid format (width or precision longer than two digits): '%%%s'",
               lua_pushlstring(L, start, (size_t)(s - start) + 1));
  }
  it.plain = s == start;
  memcpy(it.spec + 1, start, (size_t)(s - start));
  it.length += (int)(s - start);
  *at = s + (s < end);
  return it;
}

static void check_flags(lua_State *L, item *it, const char *flags, int precision) {
  const char *s = it->spec + 1;
  while (*s && strchr("-+ #0", *s)) {
    if (!strchr(flags, *s)) goto bad;
    s++;
  }
  if (it->precision && !precision) goto bad;
  return;
bad:
  luaL_error(L, "invalid conversion '%s%c' to 'format'", it->spec, it->conversion);
}

static void finish_spec(item *it, const char *modifier) {
  for (; *modifier; modifier++) it->spec[it->length++] = *modifier;
  it->spec[it->length++] = it->conversion;
  it->spec[it->length] = 0;
}

static void add_printed(luaL_Buffer *b, const char *text, int n) {
  if (n > 0) luaL_addlstring(b, text, (size_t)n);
}

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wformat-nonliteral"

static void add_integer(lua_State *L, luaL_Buffer *b, item *it, int argument, const char *flags) {
  char text[ROOM];
  lua_Integer n = luaL_checkinteger(L, argument);
  check_flags(L, it, flags, 1);
  finish_spec(it, "ll");
  add_printed(b, text, snprintf(text, sizeof text, it->spec, (long long)n));
}

static void add_float(lua_State *L, luaL_Buffer *b, item *it, int argument) {
  char text[ROOM];
  lua_Number n = luaL_checknumber(L, argument);
  check_flags(L, it, "-+ #0", 1);
  finish_spec(it, "");
  if (isnan(n)) n = (lua_Number)NAN;  // its sign differs between processors
  add_printed(b, text, snprintf(text, sizeof text, it->spec, n));
}

static void add_char(lua_State *L, luaL_Buffer *b, item *it, int argument) {
  char text[ROOM];
  int c = (int)luaL_checkinteger(L, argument);
  check_flags(L, it, "-", 0);
  finish_spec(it, "");
  add_printed(b, text, snprintf(text, sizeof text, it->spec, c));
}

static void add_string(lua_State *L, luaL_Buffer *b, item *it, int argument) {
  char text[ROOM];
  size_t n;
  const char *s = th_tostring(L, argument, &n);
  check_flags(L, it, "-", 1);
  if (it->plain) { luaL_addvalue(b); return; }
  luaL_argcheck(L, n == strlen(s), argument, "string contains zeros");
  if (!it->precision && n >= 100) { luaL_addvalue(b); return; }
  finish_spec(it, "");
  int printed = snprintf(text, sizeof text, it->spec, s);
  lua_pop(L, 1);
  add_printed(b, text, printed);
}

#pragma clang diagnostic pop

// --- %q: text that Lua reads back as the same value

static void add_quoted(lua_State *L, luaL_Buffer *b, const char *s, size_t n) {
  unsigned steps = 0;
  luaL_addchar(b, '"');
  for (const char *end = s + n; s < end; s++) {
    th_step(L, steps, 1);
    unsigned char c = (unsigned char)*s;
    if (c == '"' || c == '\\' || c == '\n') {
      luaL_addchar(b, '\\');
      luaL_addchar(b, *s);
    } else if (c < 32 || c == 127) {
      char code[8];
      int digit_follows = s + 1 < end && is_digit(s[1]);
      add_printed(b, code, snprintf(code, sizeof code, digit_follows ? "\\%03d" : "\\%d", c));
    } else {
      luaL_addchar(b, *s);
    }
  }
  luaL_addchar(b, '"');
}

static void add_quoted_number(lua_State *L, luaL_Buffer *b, int argument) {
  char text[64];
  int n;
  if (lua_isinteger(L, argument)) {
    lua_Integer i = lua_tointeger(L, argument);
    n = snprintf(text, sizeof text, i == LUA_MININTEGER ? "0x%llx" : "%lld", (long long)i);
  } else {
    lua_Number f = lua_tonumber(L, argument);
    if (isnan(f)) n = snprintf(text, sizeof text, "(0/0)");
    else if (isinf(f)) n = snprintf(text, sizeof text, f > 0 ? "1e9999" : "-1e9999");
    else n = snprintf(text, sizeof text, "%a", f);
  }
  add_printed(b, text, n);
}

static void add_literal(lua_State *L, luaL_Buffer *b, item *it, int argument) {
  size_t n;
  if (!it->plain) luaL_error(L, "specifier '%%q' cannot have modifiers");
  switch (lua_type(L, argument)) {
    case LUA_TSTRING: {
      const char *s = lua_tolstring(L, argument, &n);
      add_quoted(L, b, s, n);
      break;
    }
    case LUA_TNUMBER: add_quoted_number(L, b, argument); break;
    case LUA_TNIL: luaL_addstring(b, "nil"); break;
    case LUA_TBOOLEAN: luaL_addstring(b, lua_toboolean(L, argument) ? "true" : "false"); break;
    default: luaL_argerror(L, argument, "value has no literal form");
  }
}

static void add_item(lua_State *L, luaL_Buffer *b, item *it, int argument) {
  switch (it->conversion) {
    case 'c': add_char(L, b, it, argument); break;
    case 'd': case 'i': add_integer(L, b, it, argument, "-+ 0"); break;
    case 'u': add_integer(L, b, it, argument, "-0"); break;
    case 'o': case 'x': case 'X': add_integer(L, b, it, argument, "-#0"); break;
    case 'a': case 'A': case 'e': case 'E': case 'f': case 'g': case 'G': add_float(L, b, it, argument); break;
    case 'q': add_literal(L, b, it, argument); break;
    case 's': add_string(L, b, it, argument); break;
    case 'p': luaL_error(L, "invalid conversion '%%p' to 'format': addresses are not shown"); break;
    default:
      it->spec[it->length] = it->conversion;
      luaL_error(L, "invalid conversion '%s' to 'format'", it->spec);
  }
}

int th_string_format(lua_State *L) {
  size_t n;
  int top = lua_gettop(L), argument = 1;
  const char *s = luaL_checklstring(L, 1, &n), *end = s + n;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  while (s < end) {
    const char *percent = memchr(s, '%', (size_t)(end - s));
    luaL_addlstring(&b, s, (size_t)((percent ? percent : end) - s));
    if (!percent) break;
    s = percent + 1;
    if (s < end && *s == '%') { luaL_addchar(&b, *s++); continue; }
    th_check(L);
    item it = read_item(L, &s, end);
    if (it.conversion && ++argument > top) luaL_argerror(L, argument, "no value");
    add_item(L, &b, &it, argument);
  }
  luaL_pushresult(&b);
  return 1;
}
