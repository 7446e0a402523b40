// Lua patterns: find, match, gmatch, gsub.
//
// A matcher of our own, because a pattern may backtrack for hours and the library's gives no chance to stop it.
// Every comparison counts a step and every 256 steps ask whether the attempt is to end. The recursion is one
// level per item that can vary (a?, a*, a capture), bounded by DEPTH.
#define _GNU_SOURCE
#include <ctype.h>
#include <string.h>
#include "text/th_text.h"

enum { DEPTH = 200, CAPTURES = 32, OPEN = -1, POSITION = -2 };
#define ESCAPE '%'

typedef struct matcher {
  lua_State *L;
  const char *subject, *end;        // of the subject
  const char *pattern_end;
  unsigned steps;
  int depth, level;                 // captures met so far
  struct { const char *start; ptrdiff_t length; } capture[CAPTURES];
} matcher;

static const char *match(matcher *m, const char *s, const char *p);

// --- single characters

// The end of the item that starts at p: a character, an escape or a set.
static const char *item_end(matcher *m, const char *p) {
  char c = *p++;
  if (c == ESCAPE) {
    if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
    return p + 1;
  }
  if (c != '[') return p;
  if (p < m->pattern_end && *p == '^') p++;
  do {  // a ']' right after the opening is an ordinary character
    th_step(m->L, m->steps, 1);
    if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
    if (*p++ == ESCAPE && p < m->pattern_end) p++;
  } while (p == m->pattern_end || *p != ']');
  return p + 1;
}

static int in_class(int c, int class) {
  int found;
  switch (tolower(class)) {
    case 'a': found = isalpha(c); break;
    case 'c': found = iscntrl(c); break;
    case 'd': found = isdigit(c); break;
    case 'g': found = isgraph(c); break;
    case 'l': found = islower(c); break;
    case 'p': found = ispunct(c); break;
    case 's': found = isspace(c); break;
    case 'u': found = isupper(c); break;
    case 'w': found = isalnum(c); break;
    case 'x': found = isxdigit(c); break;
    default: return class == c;
  }
  return isupper(class) ? !found : found != 0;
}

// p is at '[', last at its ']'.
static int in_set(matcher *m, int c, const char *p, const char *last) {
  int wanted = 1;
  if (p[1] == '^') { wanted = 0; p++; }
  while (++p < last) {
    th_step(m->L, m->steps, 1);
    if (*p == ESCAPE) {
      if (in_class(c, (unsigned char)*++p)) return wanted;
    } else if (p[1] == '-' && p + 2 < last) {
      if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2]) return wanted;
      p += 2;
    } else if ((unsigned char)*p == c) {
      return wanted;
    }
  }
  return !wanted;
}

static int fits(matcher *m, const char *s, const char *p, const char *item) {
  th_step(m->L, m->steps, 1);
  if (s >= m->end) return 0;
  int c = (unsigned char)*s;
  switch (*p) {
    case '.': return 1;
    case ESCAPE: return in_class(c, (unsigned char)p[1]);
    case '[': return in_set(m, c, p, item - 1);
    default: return (unsigned char)*p == c;
  }
}

// --- items that span

static const char *match_balance(matcher *m, const char *s, const char *p) {
  if (m->pattern_end - p < 2) luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
  if (s >= m->end || *s != p[0]) return NULL;
  int open = 1;
  while (++s < m->end) {
    th_step(m->L, m->steps, 1);
    if (*s == p[1]) {
      if (--open == 0) return s + 1;
    } else if (*s == p[0]) {
      open++;
    }
  }
  return NULL;
}

static const char *match_frontier(matcher *m, const char *s, const char **p) {
  if (*p == m->pattern_end || **p != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
  const char *after = item_end(m, *p);
  int previous = s == m->subject ? 0 : (unsigned char)s[-1];
  int here = s < m->end ? (unsigned char)*s : 0;
  int found = !in_set(m, previous, *p, after - 1) && in_set(m, here, *p, after - 1);
  *p = after;
  return found ? s : NULL;
}

static int capture_to_close(matcher *m) {
  for (int i = m->level - 1; i >= 0; i--)
    if (m->capture[i].length == OPEN) return i;
  return luaL_error(m->L, "invalid pattern capture");
}

static const char *match_again(matcher *m, const char *s, int digit) {
  int i = digit - '1';
  if (i < 0 || i >= m->level || m->capture[i].length == OPEN)
    luaL_error(m->L, "invalid capture index %%%d", i + 1);
  if (m->capture[i].length == POSITION) return NULL;  // a position has no text to repeat
  size_t n = (size_t)m->capture[i].length;
  th_step(m->L, m->steps, 1 + n / 64);
  return (size_t)(m->end - s) >= n && memcmp(m->capture[i].start, s, n) == 0 ? s + n : NULL;
}

static const char *open_capture(matcher *m, const char *s, const char *p, ptrdiff_t what) {
  if (m->level >= CAPTURES) luaL_error(m->L, "too many captures");
  m->capture[m->level].start = s;
  m->capture[m->level].length = what;
  m->level++;
  const char *end = match(m, s, p);
  if (!end) m->level--;
  return end;
}

static const char *close_capture(matcher *m, const char *s, const char *p) {
  int i = capture_to_close(m);
  m->capture[i].length = s - m->capture[i].start;
  const char *end = match(m, s, p);
  if (!end) m->capture[i].length = OPEN;
  return end;
}

// As many as fit, then fewer.
static const char *match_most(matcher *m, const char *s, const char *p, const char *item) {
  const char *last = s;
  while (fits(m, last, p, item)) last++;
  for (; last >= s; last--) {
    const char *end = match(m, last, item + 1);
    if (end) return end;
  }
  return NULL;
}

static const char *match_least(matcher *m, const char *s, const char *p, const char *item) {
  for (;; s++) {
    const char *end = match(m, s, item + 1);
    if (end) return end;
    if (!fits(m, s, p, item)) return NULL;
  }
}

// Matches the item at *p when it cannot vary: *s and *p move on. 0: no match. 2: it can vary, not done here.
static int match_item(matcher *m, const char **s, const char **p) {
  const char *at = *p;
  if (*at == ESCAPE && at + 1 < m->pattern_end) {
    const char *next = at + 2;
    switch (at[1]) {
      case 'b':
        *p = next + 2;
        return (*s = match_balance(m, *s, next)) != NULL;
      case 'f':
        *s = match_frontier(m, *s, &next);
        *p = next;
        return *s != NULL;
      case '0': case '1': case '2': case '3': case '4':
      case '5': case '6': case '7': case '8': case '9':
        *p = next;
        return (*s = match_again(m, *s, (unsigned char)at[1])) != NULL;
      default: break;
    }
  }
  const char *item = item_end(m, at);
  if (item < m->pattern_end && strchr("*+-?", *item) && *item) return 2;
  if (!fits(m, *s, at, item)) return 0;
  ++*s;
  *p = item;
  return 1;
}

static const char *match_varying(matcher *m, const char *s, const char *p) {
  const char *item = item_end(m, p), *end;
  switch (*item) {
    case '?':
      if (fits(m, s, p, item) && (end = match(m, s + 1, item + 1)) != NULL) return end;
      return match(m, s, item + 1);
    case '+': return fits(m, s, p, item) ? match_most(m, s + 1, p, item) : NULL;
    case '*': return match_most(m, s, p, item);
    default: return match_least(m, s, p, item);
  }
}

static const char *match_here(matcher *m, const char *s, const char *p) {
  while (p != m->pattern_end) {
    th_step(m->L, m->steps, 1);
    if (*p == '(') {
      int position = p + 1 < m->pattern_end && p[1] == ')';
      return open_capture(m, s, p + 1 + position, position ? POSITION : OPEN);
    }
    if (*p == ')') return close_capture(m, s, p + 1);
    if (*p == '$' && p + 1 == m->pattern_end) return s == m->end ? s : NULL;
    switch (match_item(m, &s, &p)) {
      case 0: return NULL;
      case 2: return match_varying(m, s, p);
      default: break;
    }
  }
  return s;
}

// The end of a match of p at s, or NULL.
static const char *match(matcher *m, const char *s, const char *p) {
  if (++m->depth > DEPTH) luaL_error(m->L, "pattern too complex");
  const char *end = match_here(m, s, p);
  m->depth--;
  return end;
}

// --- captures as values

// Pushes capture i; without captures in the pattern, 0 is the whole match s..e.
static void push_capture(matcher *m, int i, const char *s, const char *e) {
  TH_EFFECT(m->L, 1);
  if (i >= m->level) {
    if (i != 0) luaL_error(m->L, "invalid capture index %%%d", i + 1);
    lua_pushlstring(m->L, s, (size_t)(e - s));
    return;
  }
  ptrdiff_t n = m->capture[i].length;
  if (n == OPEN) luaL_error(m->L, "unfinished capture");
  if (n == POSITION) lua_pushinteger(m->L, m->capture[i].start - m->subject + 1);
  else lua_pushlstring(m->L, m->capture[i].start, (size_t)n);
}

// s NULL: only captures of the pattern, not the whole match.
static int push_captures(matcher *m, const char *s, const char *e) {
  int n = m->level == 0 && s ? 1 : m->level;
  luaL_checkstack(m->L, n, "too many captures");
  for (int i = 0; i < n; i++) push_capture(m, i, s, e);
  return n;
}

static void begin(matcher *m, lua_State *L, const char *s, size_t n, const char *p, size_t np) {
  m->L = L;
  m->subject = s;
  m->end = s + n;
  m->pattern_end = p + np;
  m->steps = 0;
}

static const char *try_at(matcher *m, const char *s, const char *p) {
  m->level = m->depth = 0;
  return match(m, s, p);
}

// 0-based offset from an argument that counts from 1, or from the end when negative.
static size_t start_argument(lua_State *L, int index, size_t length) {
  lua_Integer i = luaL_optinteger(L, index, 1);
  if (i > 0) return (size_t)i - 1;
  if (i == 0 || i < -(lua_Integer)length) return 0;
  return length + (size_t)i;
}

// --- find and match

// Searches in windows, so that a long search can end.
static const char *find_plain(lua_State *L, const char *s, size_t n, const char *p, size_t np) {
  if (np == 0) return s;
  size_t window = np > 1 << 16 ? np : 1 << 16;
  while (n >= np) {
    size_t part = n - np < window ? n : window + np - 1;
    const char *found = memmem(s, part, p, np);
    if (found || part == n) return found;
    s += window;
    n -= window;
    th_check(L);
  }
  return NULL;
}

static int is_plain(const char *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (p[i] && strchr("^$*+?.([%-", p[i])) return 0;
  return 1;
}

static int search(lua_State *L, int find) {
  size_t n, np;
  const char *s = luaL_checklstring(L, 1, &n), *p = luaL_checklstring(L, 2, &np);
  size_t from = start_argument(L, 3, n);
  if (from > n) { luaL_pushfail(L); return 1; }
  if (find && (lua_toboolean(L, 4) || is_plain(p, np))) {
    const char *found = find_plain(L, s + from, n - from, p, np);
    if (!found) { luaL_pushfail(L); return 1; }
    lua_pushinteger(L, found - s + 1);
    lua_pushinteger(L, found - s + (lua_Integer)np);
    return 2;
  }
  matcher m;
  int anchored = np > 0 && *p == '^';
  begin(&m, L, s, n, p, np);
  for (const char *at = s + from; at <= m.end; at++) {
    const char *end = try_at(&m, at, p + anchored);
    if (end && !find) return push_captures(&m, at, end);
    if (end) {
      lua_pushinteger(L, at - s + 1);
      lua_pushinteger(L, end - s);
      return push_captures(&m, NULL, NULL) + 2;
    }
    if (anchored) break;
  }
  luaL_pushfail(L);
  return 1;
}

int th_string_find(lua_State *L) { return search(L, 1); }
int th_string_match(lua_State *L) { return search(L, 0); }

// --- gmatch: upvalues are subject, pattern, next start, end of the last match (-1: none)

static int step_of_gmatch(lua_State *L) {
  size_t n, np;
  const char *s = lua_tolstring(L, lua_upvalueindex(1), &n), *p = lua_tolstring(L, lua_upvalueindex(2), &np);
  lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
  matcher m;
  begin(&m, L, s, n, p, np);
  for (const char *at = s + lua_tointeger(L, lua_upvalueindex(3)); at <= m.end; at++) {
    const char *end = try_at(&m, at, p);
    if (!end || end - s == last) continue;
    lua_pushinteger(L, end - s);
    lua_pushvalue(L, -1);
    lua_replace(L, lua_upvalueindex(3));
    lua_replace(L, lua_upvalueindex(4));
    return push_captures(&m, at, end);
  }
  lua_pushinteger(L, (lua_Integer)n + 1);
  lua_replace(L, lua_upvalueindex(3));
  return 0;
}

int th_string_gmatch(lua_State *L) {
  size_t n;
  luaL_checklstring(L, 1, &n);
  luaL_checkstring(L, 2);
  size_t from = start_argument(L, 3, n);
  lua_settop(L, 2);
  lua_pushinteger(L, (lua_Integer)(from > n ? n + 1 : from));
  lua_pushinteger(L, -1);
  lua_pushcclosure(L, step_of_gmatch, 4);
  return 1;
}

// --- gsub

static void add_template(matcher *m, luaL_Buffer *b, const char *s, const char *e) {
  lua_State *L = m->L;
  size_t n;
  const char *t = lua_tolstring(L, 3, &n), *end = t + n, *special;
  while ((special = memchr(t, ESCAPE, (size_t)(end - t))) != NULL) {
    th_step(L, m->steps, 1);
    luaL_addlstring(b, t, (size_t)(special - t));
    char c = special + 1 < end ? special[1] : 0;
    if (c == ESCAPE) {
      luaL_addchar(b, ESCAPE);
    } else if (c == '0') {
      luaL_addlstring(b, s, (size_t)(e - s));
    } else if (c >= '1' && c <= '9') {
      if (c - '1' >= m->level && c != '1')
        luaL_error(L, "invalid capture index %%%d in replacement string", c - '0');
      push_capture(m, c - '1', s, e);
      luaL_tolstring(L, -1, NULL);  // a position is a number
      lua_remove(L, -2);
      luaL_addvalue(b);
    } else {
      luaL_error(L, "invalid use of '%%' in replacement string");
    }
    t = special + 2;
  }
  luaL_addlstring(b, t, (size_t)(end - t));
}

// Adds the replacement of the match s..e; 1 when it differs from the match.
static int add_replacement(matcher *m, luaL_Buffer *b, const char *s, const char *e, int type) {
  lua_State *L = m->L;
  if (type == LUA_TFUNCTION) {
    lua_pushvalue(L, 3);
    lua_call(L, push_captures(m, s, e), 1);
  } else if (type == LUA_TTABLE) {
    push_capture(m, 0, s, e);
    lua_gettable(L, 3);
  } else {
    add_template(m, b, s, e);
    return 1;
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    luaL_addlstring(b, s, (size_t)(e - s));
    return 0;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  luaL_addvalue(b);
  return 1;
}

int th_string_gsub(lua_State *L) {
  size_t n, np;
  const char *s = luaL_checklstring(L, 1, &n), *p = luaL_checklstring(L, 2, &np), *last = NULL;
  int type = lua_type(L, 3);
  lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)n + 1), count = 0;
  luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE, 3,
                   "string/function/table");
  if (type == LUA_TNUMBER) lua_tolstring(L, 3, NULL);
  int anchored = np > 0 && *p == '^', changed = 0;
  matcher m;
  luaL_Buffer b;
  begin(&m, L, s, n, p, np);
  luaL_buffinit(L, &b);
  while (count < most) {
    th_step(L, m.steps, 1);
    const char *end = try_at(&m, s, p + anchored);
    if (end && end != last) {
      count++;
      changed |= add_replacement(&m, &b, s, end, type);
      s = last = end;
    } else if (s < m.end) {
      luaL_addchar(&b, *s++);
    } else {
      break;
    }
    if (anchored) break;
  }
  if (changed) {
    luaL_addlstring(&b, s, (size_t)(m.end - s));
    luaL_pushresult(&b);
  } else {
    lua_pushvalue(L, 1);
  }
  lua_pushinteger(L, count);
  return 2;
}
