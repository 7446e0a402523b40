// Lua values to canonical CBOR (RFC 8949, 4.2.1: shortest heads and floats, map keys in bytewise order
// of their encoding). th_decode.c is the way back.
//
// One pass writes a table as lua_next gives it; a map's entries are put into order afterwards by moving
// their bytes, since the order of a small map costs less to repair than to prepare. Of a value that cannot
// be stored the pass knows only that it cannot: th_refusal.c says what is wrong, and where.
#include <stdlib.h>
#include <string.h>
#include "codec/th_codec.h"

enum { ENTRIES_ON_STACK = 16, ENTRIES_INSERTION = 24 };

typedef struct encoder {
  lua_State *L;
  th_output *output;
  const th_limits *limits;
  const char *root;
  int value;  // its stack index
  uint32_t start;
  int functions_as_text;
} encoder;

typedef struct entry { uint32_t offset, key_length, length; } entry;

static void encode_value(encoder *e, int index, uint32_t depth);

static _Noreturn void refuse(encoder *e) {
  e->output->bytes_length = e->start;
  th_refuse_value(e->L, e->value, e->limits, e->root, e->functions_as_text);
}

// --- bytes

static int grow(th_output *o, size_t more) {
  size_t need = (size_t)o->bytes_length + more;
  if (need > UINT32_MAX / 2) return 0;
  size_t capacity = o->bytes_capacity ? o->bytes_capacity : 1024;
  while (capacity < need) capacity *= 2;
  uint8_t *bytes = realloc(o->bytes, capacity);
  if (!bytes) return 0;
  o->bytes = bytes;
  o->bytes_capacity = (uint32_t)capacity;
  return 1;
}

void th_output_reserve(lua_State *L, th_output *o, size_t more) {
  // There is a buffer even for nothing: memcpy takes no NULL.
  if (o->bytes_capacity - o->bytes_length <= more && !grow(o, more + 1)) luaL_error(L, "not enough memory for the result");
}

void th_output_free(th_output *o) {
  free(o->bytes);
  free(o->intents);
  free(o->returned);
  memset(o, 0, sizeof *o);
}

// Room for `more` bytes within the value's limit; returns where they go.
static inline uint8_t *room(encoder *e, size_t more) {
  th_output *o = e->output;
  if (o->bytes_length - e->start + more > e->limits->value_bytes + 9) refuse(e);
  th_output_reserve(e->L, o, more);
  return o->bytes + o->bytes_length;
}

static inline unsigned put_head(uint8_t *p, unsigned major, uint64_t n) {
  major <<= 5;
  if (n < 24) { p[0] = (uint8_t)(major | n); return 1; }
  if (n <= 0xff) { p[0] = (uint8_t)(major | 24); p[1] = (uint8_t)n; return 2; }
  unsigned bytes = n <= 0xffff ? 2 : n <= 0xffffffff ? 4 : 8;
  p[0] = (uint8_t)(major | (bytes == 2 ? 25 : bytes == 4 ? 26 : 27));
  for (unsigned i = 0; i < bytes; i++) p[1 + i] = (uint8_t)(n >> (8 * (bytes - 1 - i)));
  return 1 + bytes;
}

static inline void put_big_endian(uint8_t *p, uint64_t n, unsigned bytes) {
  for (unsigned i = 0; i < bytes; i++) p[i] = (uint8_t)(n >> (8 * (bytes - 1 - i)));
}

// The half-precision bits of a float that is exactly one, else -1.
static int half_bits(float value) {
  uint32_t u;
  memcpy(&u, &value, 4);
  uint32_t sign = u >> 16 & 0x8000, fraction = u & 0x7fffff;
  int exponent = (int)(u >> 23 & 0xff);
  if (exponent == 255) return fraction ? 0x7e00 : (int)(sign | 0x7c00);
  if ((u & 0x7fffffff) == 0) return (int)sign;
  exponent -= 127;
  if (exponent > 15 || exponent < -24) return -1;
  if (exponent >= -14)
    return fraction & 0x1fff ? -1 : (int)(sign | (uint32_t)(exponent + 15) << 10 | fraction >> 13);
  uint32_t whole = fraction | 0x800000;
  int shift = -exponent - 1;  // subnormal half: fraction * 2^-24
  return whole & ((1u << shift) - 1) ? -1 : (int)(sign | whole >> shift);
}

static unsigned put_double(uint8_t *p, double d) {
  if (d != d) { p[0] = 0xf9; p[1] = 0x7e; p[2] = 0; return 3; }
  float f = d > 3.4028234663852886e38 || d < -3.4028234663852886e38 ? 0 : (float)d;
  if (d - d != 0) f = d > 0 ? __builtin_inff() : -__builtin_inff();
  if ((double)f == d) {
    int half = half_bits(f);
    if (half >= 0) { p[0] = 0xf9; put_big_endian(p + 1, (uint64_t)half, 2); return 3; }
    uint32_t u;
    memcpy(&u, &f, 4);
    p[0] = 0xfa; put_big_endian(p + 1, u, 4);
    return 5;
  }
  uint64_t u;
  memcpy(&u, &d, 8);
  p[0] = 0xfb; put_big_endian(p + 1, u, 8);
  return 9;
}

// Returns whether it is text.
static inline int encode_string(encoder *e, const char *s, size_t n) {
  uint8_t *p = room(e, n + 9);
  int text = th_valid_utf8((const uint8_t *)s, n);
  unsigned head = put_head(p, text ? 3 : 2, n);
  memcpy(p + head, s, n);
  e->output->bytes_length += head + (uint32_t)n;
  return text;
}

// --- tables

static int before(const uint8_t *base, const entry *a, const entry *b) {
  uint32_t n = a->key_length < b->key_length ? a->key_length : b->key_length;
  return memcmp(base + a->offset, base + b->offset, n) < 0;  // no encoded key is a prefix of another
}

static void sift(const uint8_t *base, entry *list, size_t root, size_t n) {
  for (size_t child; (child = root * 2 + 1) < n; root = child) {
    if (child + 1 < n && before(base, &list[child], &list[child + 1])) child++;
    if (!before(base, &list[root], &list[child])) return;
    entry swap = list[root]; list[root] = list[child]; list[child] = swap;
  }
}

// Heap sort above a small size: no allocation, no bad case a script could build.
static void sort_entries(const uint8_t *base, entry *list, size_t n) {
  if (n <= ENTRIES_INSERTION) {
    for (size_t i = 1; i < n; i++) {
      entry moving = list[i];
      size_t j = i;
      for (; j && before(base, &moving, &list[j - 1]); j--) list[j] = list[j - 1];
      list[j] = moving;
    }
    return;
  }
  for (size_t i = n / 2; i--;) sift(base, list, i, n);
  for (size_t end = n; --end;) {
    entry swap = list[0]; list[0] = list[end]; list[end] = swap;
    sift(base, list, 0, end);
  }
}

static void order_entries(encoder *e, uint32_t from, entry *list, size_t n) {
  th_output *o = e->output;
  uint32_t bytes = o->bytes_length - from;
  th_output_reserve(e->L, o, bytes);
  sort_entries(o->bytes, list, n);
  uint8_t *ordered = o->bytes + o->bytes_length;
  for (size_t i = 0; i < n; i++) {
    memcpy(ordered, o->bytes + list[i].offset, list[i].length);
    ordered += list[i].length;
  }
  memcpy(o->bytes + from, o->bytes + o->bytes_length, bytes);
}

// Room for more entries in a userdata at stack index `holder`.
static entry *more_entries(lua_State *L, int holder, const entry *list, size_t n, size_t capacity) {
  entry *bigger = lua_newuserdatauv(L, capacity * sizeof *bigger, 0);
  memcpy(bigger, list, n * sizeof *bigger);
  lua_replace(L, holder);
  return bigger;
}

static void encode_map(encoder *e, int table, uint32_t depth) {
  lua_State *L = e->L;
  th_output *o = e->output;
  entry on_stack[ENTRIES_ON_STACK], *list = on_stack;
  size_t n = 0, capacity = ENTRIES_ON_STACK;
  int sorted = 1, holder = lua_gettop(L) + 1;
  *room(e, 1) = 0xa0;
  uint32_t from = ++o->bytes_length;
  lua_pushnil(L);  // the holder
  lua_pushnil(L);
  while (lua_next(L, table)) {
    if (lua_type(L, -2) != LUA_TSTRING) refuse(e);
    if (n == capacity) list = more_entries(L, holder, list, n, capacity *= 4);
    size_t length;
    const char *text = lua_tolstring(L, -2, &length);
    list[n].offset = o->bytes_length;
    if (!encode_string(e, text, length)) refuse(e);
    list[n].key_length = o->bytes_length - list[n].offset;
    encode_value(e, holder + 2, depth);
    list[n].length = o->bytes_length - list[n].offset;
    if (n && sorted) sorted = before(o->bytes, &list[n - 1], &list[n]);
    n++;
    lua_settop(L, holder + 1);
  }
  if (!sorted) order_entries(e, from, list, n);
  lua_settop(L, holder - 1);
  if (n < 24) { o->bytes[from - 1] = (uint8_t)(0xa0 | n); return; }
  uint8_t head[9];
  unsigned length = put_head(head, 5, n);
  room(e, length);
  memmove(o->bytes + from - 1 + length, o->bytes + from, o->bytes_length - from);
  memcpy(o->bytes + from - 1, head, length);
  o->bytes_length += length - 1;
}

// Lists whose keys are not in the array part in order: element by element, then a count of all keys.
static void encode_scattered(encoder *e, int table, uint32_t depth, lua_Integer n) {
  lua_State *L = e->L;
  lua_Integer count = 0;
  unsigned steps = 0;
  lua_pushnil(L);
  while (lua_next(L, table)) {
    th_step(L, steps, 1);
    lua_pop(L, 1);
    if (!lua_isinteger(L, -1)) refuse(e);
    count++;
  }
  for (lua_Integer i = 1; i <= n; i++) {
    if (lua_rawgeti(L, table, i) == LUA_TNIL || count != n) refuse(e);
    encode_value(e, lua_gettop(L), depth);
    lua_pop(L, 1);
  }
}

static void encode_list(encoder *e, int table, uint32_t depth, lua_Integer n) {
  lua_State *L = e->L;
  th_output *o = e->output;
  uint8_t *p = room(e, 9);
  o->bytes_length += put_head(p, 4, (uint64_t)n);
  uint32_t from = o->bytes_length;
  lua_Integer i = 0;
  int key = lua_gettop(L) + 1;
  lua_pushnil(L);
  while (lua_next(L, table)) {
    if (!lua_isinteger(L, key) || lua_tointeger(L, key) != i + 1 || i == n) { i = -1; break; }
    i++;
    encode_value(e, key + 1, depth);
    lua_settop(L, key);
  }
  if (i == n) return;
  lua_settop(L, key - 1);
  o->bytes_length = from;
  encode_scattered(e, table, depth, n);
}

// A script's metatable is ignored: only content is stored.
static void encode_table(encoder *e, int index, uint32_t depth) {
  lua_State *L = e->L;
  TH_EFFECT(L, 0);
  if (depth >= e->limits->value_depth) refuse(e);
  luaL_checkstack(L, 12, "nested too deep");
  int top = lua_gettop(L), marked = 0;
  if (__builtin_expect(lua_getmetatable(L, index), 0)) {
    lua_settop(L, top);
    if (th_frozen_content(L, index)) index = top + 1;
    marked = th_is_array(L, index);
  }
  lua_Integer n = (lua_Integer)lua_rawlen(L, index);
  if (n || marked) encode_list(e, index, depth + 1, n);
  else encode_map(e, index, depth + 1);
  lua_settop(L, top);
}

static void encode_value(encoder *e, int index, uint32_t depth) {
  lua_State *L = e->L;
  switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
      *room(e, 1) = lua_toboolean(L, index) ? 0xf5 : 0xf4;
      e->output->bytes_length++;
      return;
    case LUA_TNUMBER: {
      uint8_t *p = room(e, 9);
      if (lua_isinteger(L, index)) {
        lua_Integer i = lua_tointeger(L, index);
        e->output->bytes_length += i < 0 ? put_head(p, 1, ~(uint64_t)i) : put_head(p, 0, (uint64_t)i);
      } else {
        e->output->bytes_length += put_double(p, lua_tonumber(L, index));
      }
      return;
    }
    case LUA_TSTRING: {
      size_t n;
      const char *s = lua_tolstring(L, index, &n);
      encode_string(e, s, n);
      return;
    }
    case LUA_TTABLE: encode_table(e, index, depth); return;
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, index)) refuse(e);
      *room(e, 1) = 0xf6;
      e->output->bytes_length++;
      return;
    case LUA_TFUNCTION:
      if (!e->functions_as_text) refuse(e);
      encode_string(e, "function", 8);
      return;
    default: refuse(e);
  }
}

static void encode_root(encoder *e) {
  TH_EFFECT(e->L, 0);
  e->value = lua_absindex(e->L, e->value);
  luaL_checkstack(e->L, 12, NULL);
  encode_value(e, e->value, 0);
  if (e->output->bytes_length - e->start > e->limits->value_bytes) refuse(e);
}

void th_encode_named(lua_State *L, int index, th_output *o, const th_limits *limits, const char *root) {
  encoder e = {L, o, limits, root, index, o->bytes_length, 0};
  encode_root(&e);
}

void th_encode(lua_State *L, int index, th_output *o, const th_limits *limits) {
  th_encode_named(L, index, o, limits, "value");
}

void th_encode_spec(lua_State *L, int index, th_output *o, const th_limits *limits) {
  encoder e = {L, o, limits, "trigger", index, o->bytes_length, 1};
  encode_root(&e);
}
