// The message handler of a coroutine that is closed while it is suspended inside of xpcall.
//
// Until Lua 5.4.7, a coroutine that is closed keeps the place of that handler on its stack, while all that was on the
// stack is gone: an error in a `__close` then calls whatever a script has put there since. Nothing in the API forgets
// the handler, so it is forgotten in the coroutine itself. Where that is, is found by looking: of all words of a
// coroutine exactly one follows the place of the handler that lua_pcall is given.
#include <string.h>
#include "mends/th_mends.h"

enum { WORDS_MOST = 64, LOOKS = 4 };

typedef struct looks { ptrdiff_t words[LOOKS][WORDS_MOST]; size_t count; int look; } looks;

static int look(lua_State *L) {
  looks *all = lua_touserdata(L, 1);
  memcpy(all->words[all->look], L, all->count * sizeof(ptrdiff_t));
  return 0;
}

static int pass_on(lua_State *L) { lua_settop(L, 1); return 1; }

static int follows(const looks *all, size_t word) {
  ptrdiff_t step = all->words[1][word];
  for (int i = 0; i < LOOKS; i++) if (all->words[i][word] != i * step) return 0;
  return step > 0;
}

int th_handler_find(lua_State *L) {
  th_worker *w = th_worker_of(L);
  looks all = {.count = 0};
  int top = lua_gettop(L), found = 0;
  lua_State *co = lua_newthread(L);
  all.count = th_alloc_thread_bytes(w) / sizeof(ptrdiff_t);
  if (all.count > WORDS_MOST) all.count = WORDS_MOST;
  for (int i = 1; i < LOOKS; i++) lua_pushcfunction(co, pass_on);
  for (all.look = 0; all.look < LOOKS; all.look++) {
    lua_pushcfunction(co, look);
    lua_pushlightuserdata(co, &all);
    if (lua_pcall(co, 1, 0, all.look) != LUA_OK) return 0;
  }
  for (size_t word = 0; word < all.count; word++) {
    if (!follows(&all, word)) continue;
    w->runner->handler_offset = word * sizeof(ptrdiff_t);
    found++;
  }
  lua_settop(L, top);
  return found == 1;
}

void th_handler_forget(lua_State *co) {
  static const ptrdiff_t none = 0;
  size_t offset = th_worker_of(co)->runner->handler_offset;
  if (offset) memcpy((char *)co + offset, &none, sizeof none);
}
