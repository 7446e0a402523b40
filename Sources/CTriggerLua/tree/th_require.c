// require: which file of the tree a module's name means, and package, which shows that to libraries.
#include <string.h>
#include "tree/th_tree.h"

enum { PATH_MOST = 512, TEMPLATE_MOST = 48 };

// Where a module may be, in this order: the one place that says so. `?` is the name with / for its dots.
static const char *const templates[] = {
  "?.lua", "?/init.lua", "lib/?.lua", "lib/?/init.lua",
  "lua_modules/share/lua/5.4/?.lua", "lua_modules/share/lua/5.4/?/init.lua",  // luarocks --tree lua_modules
};
enum { CANDIDATES = sizeof templates / sizeof *templates };

const char *th_module_template(size_t place) { return place < CANDIDATES ? templates[place] : NULL; }

// What is in package.loaded, and what require gives before it looks for a file.
static const char *const own_modules[] = {
  "_G", "coroutine", "debug", "io", "math", "os", "package", "string", "table", "utf8", NULL};

// Writes the path for a module name. Returns 0 for a name that is none.
static int module_base(const char *name, char base[PATH_MOST]) {
  size_t n = 0;
  for (const char *c = name; *c; c++) {
    if (n + 1 >= PATH_MOST - TEMPLATE_MOST) return 0;
    if (*c == '.' && (c == name || c[1] == '.' || c[1] == 0)) return 0;
    if (*c == '/' && (c == name || c[1] == '/' || c[1] == 0)) return 0;
    base[n++] = *c == '.' ? '/' : *c;
  }
  base[n] = 0;
  return n > 0;
}

static void candidate(const char *base, size_t place, char path[PATH_MOST]) {
  const char *template = templates[place], *mark = strchr(template, '?');
  size_t before = (size_t)(mark - template);
  memcpy(path, template, before);
  strcpy(stpcpy(path + before, base), mark + 1);
}

// Runs a module for all executions of the tree. The chunk is on top and gives way to its value. [-1, +1]
static void keep_module(lua_State *L, th_tree *tree, const char *path, const char *name) {
  TH_EFFECT(L, 0);
  th_run_chunk(L, tree, path, name);
  if (lua_isnil(L, -1)) { lua_pop(L, 1); lua_pushboolean(L, 1); }
  int kept = th_freeze(L, -1, tree);
  th_get_ref(L, tree->modules_ref);
  if (kept) lua_pushvalue(L, -2); else lua_pushlightuserdata(L, (void *)(uintptr_t)&th_unkept);
  lua_setfield(L, -2, path);
  lua_pop(L, 1);
  if (!kept) th_frozen_write(L);
}

static void tell_required(th_worker *w, th_tree *tree, const char *path) {
  th_loading *loading = w->runner->loading;
  if (w->host.required && loading) w->host.required(tree->context, loading->path, path);
}

static int is_own_module(const char *name) {
  for (const char *const *own = own_modules; *own; own++) if (strcmp(name, *own) == 0) return 1;
  return 0;
}

// Pushes the module at a path and returns 1, or returns 0 when there is no such file. [-0, +(0|1)]
static int push_module(lua_State *L, th_tree *tree, const char *path, const char *name) {
  TH_EFFECT_BETWEEN(L, 0, 1);
  struct th_runner *r = th_worker_of(L)->runner;
  tell_required(th_worker_of(L), tree, path);
  th_note_need(L, tree, path);
  th_get_ref(L, r->fresh ? r->fresh_ref : tree->modules_ref);
  if (lua_getfield(L, -1, path) != LUA_TNIL) {
    if (lua_touserdata(L, -1) == (const void *)&th_unkept) th_frozen_write(L);
    if (r->loading && th_is_bound(L, tree, path)) th_worker_of(L)->looked = 1;
    lua_remove(L, -2);
    return 1;
  }
  lua_pop(L, 2);
  if (!th_push_chunk(L, tree, path)) return 0;
  if (!r->fresh) { keep_module(L, tree, path, name); return 1; }
  th_run_chunk(L, tree, path, name);
  if (lua_isnil(L, -1)) { lua_pop(L, 1); lua_pushboolean(L, 1); }
  th_get_ref(L, r->fresh_ref);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, path);
  lua_pop(L, 1);
  return 1;
}

static int refuse_module(lua_State *L, const char *name, const char *base) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < CANDIDATES; i++) {
    char path[PATH_MOST];
    candidate(base, i, path);
    luaL_addstring(&b, i ? ", " : "");
    luaL_addstring(&b, path);
  }
  luaL_pushresult(&b);
  return luaL_error(L, "module '%s' not found (tried %s)", name, lua_tostring(L, -1));
}

static int require(lua_State *L) {
  th_tree *tree = th_worker_of(L)->tree;
  const char *name = luaL_checkstring(L, 1);
  lua_settop(L, 1);
  if (is_own_module(name)) {
    lua_pushglobaltable(L);
    if (strcmp(name, "_G") != 0) lua_getfield(L, -1, name);
    return 1;
  }
  char base[PATH_MOST], path[PATH_MOST];
  if (!module_base(name, base)) return luaL_error(L, "require: '%s' is not a module name (write \"lib.name\")", name);
  if (!tree) return luaL_error(L, "require: no script tree here");
  for (size_t i = 0; i < CANDIDATES; i++) {
    candidate(base, i, path);
    if (push_module(L, tree, path, name)) return 1;
  }
  return refuse_module(L, name, base);
}

// (name, path): the first file of the tree that a template gives, or nil and what was tried. As in Lua, but for the
// separators, which are always . and /.
static int searchpath(lua_State *L) {
  th_worker *w = th_worker_of(L);
  const char *name = luaL_gsub(L, luaL_checkstring(L, 1), ".", "/");
  const char *template = luaL_checkstring(L, 2);
  luaL_Buffer tried;
  luaL_buffinit(L, &tried);
  while (*template) {
    size_t n = strcspn(template, ";");
    th_check(L);
    lua_pushlstring(L, template, n);
    const char *path = luaL_gsub(L, lua_tostring(L, -1), "?", name);
    size_t length;
    if (w->tree) th_note_need(L, w->tree, path);
    if (w->tree && w->host.source(w->tree->context, path, &length)) return 1;
    lua_pushfstring(L, "\n\tno file '%s'", path);
    lua_replace(L, -3);
    lua_pop(L, 1);
    luaL_addvalue(&tried);
    template += n + (template[n] == ';');
  }
  luaL_pushresult(&tried);
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

static int write_package(lua_State *L) {
  size_t n;
  const char *key = th_tostring(L, 2, &n);
  return luaL_error(L, "%s.%s cannot be set: require looks in the script tree only",
                    lua_tostring(L, lua_upvalueindex(1)), key);
}

// Nothing in `package` changes what require does; it is there to be looked at. The globals are on top.
static void open_package(lua_State *L) {
  TH_EFFECT(L, 0);
  int globals = lua_gettop(L);
  lua_pushvalue(L, globals);
  lua_setfield(L, globals, "_G");
  lua_createtable(L, 0, 6);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < CANDIDATES; i++) {
    luaL_addstring(&b, i ? ";" : "");
    luaL_addstring(&b, templates[i]);
  }
  luaL_pushresult(&b);
  lua_setfield(L, -2, "path");
  lua_pushliteral(L, "");
  lua_setfield(L, -2, "cpath");
  lua_pushliteral(L, "/\n;\n?\n!\n-\n");
  lua_setfield(L, -2, "config");
  lua_pushcfunction(L, searchpath);
  lua_setfield(L, -2, "searchpath");
  lua_newtable(L);
  th_freeze_library(L, "package.preload", write_package);
  lua_setfield(L, -2, "preload");
  lua_pushvalue(L, -1);
  lua_setfield(L, globals, "package");
  lua_newtable(L);
  for (const char *const *own = own_modules; *own; own++) {
    lua_getfield(L, globals, *own);
    lua_setfield(L, -2, *own);
  }
  th_freeze_library(L, "package.loaded", write_package);
  lua_setfield(L, -2, "loaded");
  lua_pop(L, 1);
}

void th_open_require(lua_State *L) {
  TH_EFFECT(L, 0);
  th_open_loading(L);
  lua_pushcfunction(L, require);
  lua_setfield(L, -2, "require");
  open_package(L);
}
