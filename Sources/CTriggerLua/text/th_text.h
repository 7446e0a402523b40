// Texts without addresses, in bounded time: tostring, and the libraries string and utf8.
#ifndef TH_TEXT_H
#define TH_TEXT_H

#include "mends/th_mends.h"

// --- th_tostring.c
// tostring without addresses; pushes the text. Honours __tostring and __name. May raise. [-0, +1]
const char *th_tostring(lua_State *L, int index, size_t *length);

// --- th_string.c
void th_open_string(lua_State *L);     // string, utf8, and the metatable of strings, as th_libraries.h says
int th_is_constant_closure(lua_CFunction f);  // true for the library's closures that never change an upvalue

// --- th_pattern.c
int th_string_find(lua_State *L);
int th_string_match(lua_State *L);
int th_string_gmatch(lua_State *L);
int th_string_gsub(lua_State *L);

// --- th_format.c
int th_string_format(lua_State *L);

#endif
