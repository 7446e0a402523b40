// Lua values to canonical CBOR and back.
#ifndef TH_CODEC_H
#define TH_CODEC_H

#include "values/th_values.h"

// --- th_encode.c
// Appends the canonical encoding (RFC 8949, 4.2.1) of the value at index. Raises a Lua error that names
// the path inside the value ("value.items[3]: a function cannot be stored") when it cannot be stored.
void th_encode(lua_State *L, int index, th_output *output, const th_limits *limits);
// th_encode with the name that error paths start with. Raises.
void th_encode_named(lua_State *L, int index, th_output *output, const th_limits *limits, const char *root);
// As th_encode for the spec of a trigger: functions become the text "function". Raises.
void th_encode_spec(lua_State *L, int index, th_output *output, const th_limits *limits);
// Room for `more` bytes after bytes_length. Raises when out of memory.
void th_output_reserve(lua_State *L, th_output *output, size_t more);

// --- th_refusal.c
// Raises what is wrong with a value that cannot be encoded; `value` is an absolute index.
_Noreturn void th_refuse_value(
  lua_State *L, int value, const th_limits *limits, const char *root, int functions_as_text);

// --- th_decode.c
// Pushes the decoded value. Raises on malformed bytes or memory.
void th_decode(lua_State *L, const uint8_t *bytes, size_t length);
// The encoded value of a field of an encoded map; NULL when it has no such field. Raises on malformed bytes.
const uint8_t *th_map_field(lua_State *L, const uint8_t *map, size_t length, const char *name, size_t *value_length);

#endif
