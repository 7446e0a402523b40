// Unknown fields of ctx and of stores, and which name was meant.
#include <string.h>
#include "api/th_api.h"

const char *const th_ctx_fields[] = {"event_name", "seq", "time", "trigger", NULL};

// Edit distance of short words, `most` when it is that or more.
static int distance(const char *a, const char *b, int most) {
  int row[33];
  size_t n = strlen(b);
  if (n > 32 || strlen(a) > 32) return most;
  for (size_t j = 0; j <= n; j++) row[j] = (int)j;
  for (size_t i = 1; a[i - 1]; i++) {
    int corner = row[0];
    row[0] = (int)i;
    for (size_t j = 1; j <= n; j++) {
      int best = corner + (a[i - 1] != b[j - 1]);
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      corner = row[j];
      row[j] = best;
    }
  }
  return row[n] < most ? row[n] : most;
}

static void try_name(const char *name, const char *key, const char **best, int *nearest) {
  int d = distance(key, name, *nearest);
  // by distance, then by name: the order of lua_next must not show
  if (d < *nearest || (d == *nearest && *best && distance(key, name, d + 1) == d && strcmp(name, *best) < 0)) {
    *nearest = d;
    *best = name;
  }
}

int th_unknown_field(lua_State *L) {
  size_t n;
  const char *what = lua_tostring(L, lua_upvalueindex(1)), *best = NULL;
  const char *key = th_tostring(L, 2, &n);
  int nearest = 3;
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    if (lua_type(L, -2) == LUA_TSTRING) try_name(lua_tostring(L, -2), key, &best, &nearest);
    lua_pop(L, 1);
  }
  if (strcmp(what, "ctx") == 0)
    for (int i = 0; th_ctx_fields[i]; i++) try_name(th_ctx_fields[i], key, &best, &nearest);
  if (!best) return luaL_error(L, "%s has no field '%s'", what, key);
  return luaL_error(L, "%s has no field '%s'; did you mean '%s'?", what, key, best);
}
