// Tracebacks: as luaL_traceback writes them, in one walk.
//
// lua_getstack walks from the top of the stack at every call, and luaL_traceback calls it some forty times to find
// the last levels: 0.2 s for the 333,000 levels of an endless recursion, which a script can ask for again and again.
#include <string.h>
#include "libraries/th_libraries.h"

enum { FIRST_LEVELS = 10, LAST_LEVELS = 11 };

// The levels to show: the first ones, then the last, the outermost at the end.
typedef struct levels { struct CallInfo *first[FIRST_LEVELS], *last[LAST_LEVELS]; int all; } levels;

static int is_guard(lua_State *L, lua_State *of, struct CallInfo *frame) {
  lua_Debug ar = {.i_ci = frame};
  return th_is_guard(L, of, &ar);
}

// Every walk looks at the first levels through the API, and goes on alone only where both agreed.
static int are_linked(lua_State *of) {
  lua_Debug ar;
  struct CallInfo *frame = NULL;
  for (int level = 0; level < FIRST_LEVELS && lua_getstack(of, level, &ar); frame = ar.i_ci, level++)
    if (frame && th_caller(frame) != ar.i_ci) return 0;
  return 1;
}

// Finds the levels of `of` from `level` on; 0 when frames are not linked as expected.
static int find_levels(lua_State *L, lua_State *of, int level, levels *found) {
  lua_Debug ar;
  found->all = 0;
  if (!lua_getstack(of, 0, &ar)) return 1;
  if (!are_linked(of)) return 0;
  // The outermost frame is Lua's own and no level: it has no caller.
  for (struct CallInfo *frame = ar.i_ci; frame && th_caller(frame); frame = th_caller(frame)) {
    if (is_guard(L, of, frame) || level-- > 0) continue;
    if (found->all < FIRST_LEVELS) found->first[found->all] = frame;
    else found->last[found->all % LAST_LEVELS] = frame;
    found->all++;
  }
  return 1;
}

static void add_level(luaL_Buffer *b, lua_State *of, struct CallInfo *frame) {
  lua_State *L = b->L;
  lua_Debug ar = {.i_ci = frame};
  lua_getinfo(of, "Slnt", &ar);
  // What a guard called is called what the guard was called.
  lua_Debug guard = {.i_ci = th_caller(frame)};
  if (th_caller(guard.i_ci) && th_is_guard(L, of, &guard)) {
    lua_getinfo(of, "n", &guard);
    ar.name = guard.name;
    ar.namewhat = guard.namewhat;
  }
  if (ar.currentline <= 0) lua_pushfstring(L, "\n\t%s: in ", ar.short_src);
  else lua_pushfstring(L, "\n\t%s:%d: in ", ar.short_src, ar.currentline);
  luaL_addvalue(b);
  if (*ar.namewhat != 0) lua_pushfstring(L, "%s '%s'", ar.namewhat, ar.name);
  else if (*ar.what == 'm') lua_pushliteral(L, "main chunk");
  else if (*ar.what != 'C') lua_pushfstring(L, "function <%s:%d>", ar.short_src, ar.linedefined);
  else lua_pushliteral(L, "?");
  luaL_addvalue(b);
  if (ar.istailcall) luaL_addstring(b, "\n\t(...tail calls...)");
}

void th_traceback(lua_State *L, lua_State *of, const char *message, int level) {
  TH_EFFECT(L, 1);
  levels found;
  if (!find_levels(L, of, level, &found)) { luaL_traceback(L, of, message, level); return; }
  int first = found.all < FIRST_LEVELS ? found.all : FIRST_LEVELS;
  int last = found.all - first < LAST_LEVELS ? found.all - first : LAST_LEVELS;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  if (message) { luaL_addstring(&b, message); luaL_addchar(&b, '\n'); }
  luaL_addstring(&b, "stack traceback:");
  for (int i = 0; i < first; i++) add_level(&b, of, found.first[i]);
  if (found.all > first + last) {
    lua_pushfstring(L, "\n\t...\t(skipping %d levels)", found.all - first - last);
    luaL_addvalue(&b);
  }
  for (int i = found.all - last; i < found.all; i++) add_level(&b, of, found.last[i % LAST_LEVELS]);
  luaL_pushresult(&b);
}

// A stack that is deeper than this is asked for no level by anybody who means it.
enum { LEVELS_MOST = 64 };

int th_level(lua_State *L, int level) {
  TH_EFFECT(L, 0);
  lua_Debug ar;
  int all = 0;
  for (int shown = 0; all < LEVELS_MOST && lua_getstack(L, all, &ar); all++)
    if (!th_is_guard(L, L, &ar) && shown++ == level) return all;
  return all < LEVELS_MOST ? all : level;
}
