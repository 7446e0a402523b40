// Canonical CBOR to Lua values. The bytes come from our own encoder or from the host's checked JSON, so
// anything unexpected is a defect and raises; lengths are checked against what is left all the same.
#include <string.h>
#include "codec/th_codec.h"

enum { DEPTH_MOST = 1000 };

typedef struct decoder { lua_State *L; const uint8_t *p, *end; } decoder;

static _Noreturn void malformed(lua_State *L) {
  luaL_error(L, "malformed value from the host");
  __builtin_unreachable();
}

static inline uint64_t big_endian(const uint8_t *p, unsigned bytes) {
  uint64_t n = 0;
  for (unsigned i = 0; i < bytes; i++) n = n << 8 | p[i];
  return n;
}

// The argument of a head whose first byte is `first`.
static inline uint64_t argument(decoder *d, unsigned first) {
  unsigned low = first & 31;
  if (low < 24) return low;
  if (low > 27) malformed(d->L);
  unsigned bytes = 1u << (low - 24);
  if ((size_t)(d->end - d->p) < bytes) malformed(d->L);
  uint64_t n = big_endian(d->p, bytes);
  d->p += bytes;
  return n;
}

static double half(unsigned bits) {
  unsigned exponent = bits >> 10 & 31, fraction = bits & 1023;
  double value = exponent == 0 ? fraction * 0x1p-24
    : exponent == 31 ? (fraction ? __builtin_nan("") : __builtin_inf())
    : (1024 + fraction) * (exponent >= 25 ? (double)(1u << (exponent - 25)) : 1.0 / (double)(1u << (25 - exponent)));
  return bits & 0x8000 ? -value : value;
}

static void decode_simple(decoder *d, unsigned first) {
  lua_State *L = d->L;
  unsigned bytes = first == 0xf9 ? 2 : first == 0xfa ? 4 : first == 0xfb ? 8 : 0;
  if ((size_t)(d->end - d->p) < bytes) malformed(L);
  uint64_t n = big_endian(d->p, bytes);
  d->p += bytes;
  switch (first) {
    case 0xf4: case 0xf5: lua_pushboolean(L, first & 1); return;
    case 0xf6: th_push_null(L); return;
    case 0xf9: lua_pushnumber(L, half((unsigned)n)); return;
    case 0xfa: { uint32_t u = (uint32_t)n; float f; memcpy(&f, &u, 4); lua_pushnumber(L, (double)f); return; }
    case 0xfb: { double f; memcpy(&f, &n, 8); lua_pushnumber(L, f); return; }
    default: malformed(L);
  }
}

static inline void decode_string(decoder *d, uint64_t n) {
  if (n > (uint64_t)(d->end - d->p)) malformed(d->L);
  lua_pushlstring(d->L, (const char *)d->p, (size_t)n);
  d->p += n;
}

static void decode_value(decoder *d, int depth);

static void decode_array(decoder *d, uint64_t n, int depth) {
  lua_State *L = d->L;
  if (n > (uint64_t)(d->end - d->p) || depth > DEPTH_MOST) malformed(L);
  luaL_checkstack(L, 6, NULL);
  lua_createtable(L, (int)n, 0);
  for (uint64_t i = 1; i <= n; i++) {
    decode_value(d, depth + 1);
    lua_rawseti(L, -2, (lua_Integer)i);
  }
  th_mark_array(L, -1);
}

static void decode_map(decoder *d, uint64_t n, int depth) {
  lua_State *L = d->L;
  if (n > (uint64_t)(d->end - d->p) || depth > DEPTH_MOST) malformed(L);
  luaL_checkstack(L, 6, NULL);
  lua_createtable(L, 0, (int)n);
  for (uint64_t i = 0; i < n; i++) {
    if (d->p == d->end) malformed(L);
    unsigned first = *d->p++;
    if (first >> 5 != 3 && first >> 5 != 2) malformed(L);
    decode_string(d, argument(d, first));
    decode_value(d, depth + 1);
    lua_rawset(L, -3);
  }
}

static void decode_value(decoder *d, int depth) {
  TH_EFFECT(d->L, 1);
  if (d->p == d->end) malformed(d->L);
  unsigned first = *d->p++;
  if (first >> 5 == 7) { decode_simple(d, first); return; }
  uint64_t n = argument(d, first);
  switch (first >> 5) {
    case 0: case 1:
      if (n > INT64_MAX) malformed(d->L);
      lua_pushinteger(d->L, first >> 5 ? (lua_Integer)~n : (lua_Integer)n);
      return;
    case 2: case 3: decode_string(d, n); return;
    case 4: decode_array(d, n, depth); return;
    case 5: decode_map(d, n, depth); return;
    default: malformed(d->L);
  }
}

void th_decode(lua_State *L, const uint8_t *bytes, size_t length) {
  TH_EFFECT(L, 1);
  decoder d = {L, bytes, bytes + length};
  luaL_checkstack(L, 6, NULL);
  decode_value(&d, 0);
  if (d.p != d.end) malformed(L);
}

static void skip(decoder *d) {
  for (uint64_t left = 1; left > 0; left--) {
    if (d->p == d->end) malformed(d->L);
    unsigned first = *d->p++, major = first >> 5;
    uint64_t n = argument(d, first);
    if (major < 2 || major == 7) continue;  // the argument was all of it
    if (n > (uint64_t)(d->end - d->p)) malformed(d->L);
    if (major < 4) d->p += n;
    else left += major == 5 ? 2 * n : n;
  }
}

const uint8_t *th_map_field(lua_State *L, const uint8_t *map, size_t length, const char *name, size_t *value_length) {
  TH_EFFECT(L, 0);
  decoder d = {L, map, map + length};
  size_t name_length = strlen(name);
  unsigned first = *d.p++;
  uint64_t n = argument(&d, first);
  for (uint64_t i = 0; i < n; i++) {
    if (d.p == d.end) malformed(L);
    first = *d.p++;
    uint64_t key_length = argument(&d, first);
    if (key_length > (uint64_t)(d.end - d.p)) malformed(L);
    const uint8_t *key = d.p, *value = d.p += key_length;
    skip(&d);
    if (key_length != name_length || memcmp(key, name, name_length)) continue;
    *value_length = (size_t)(d.p - value);
    return value;
  }
  return NULL;
}
