// Reading what lua_dump writes. The format is that of Lua 5.4; who reads it has looked at samples first.
#include <stdlib.h>
#include <string.h>
#include "mends/th_dump.h"

typedef struct pieces { uint8_t *bytes; size_t length, capacity; } pieces;

// lua_dump does not raise and neither does this, so plain memory is safe.
static int add_piece(lua_State *L, const void *piece, size_t length, void *all) {
  (void)L;
  pieces *p = all;
  if (p->capacity - p->length < length) {
    size_t capacity = (p->length + length) * 2;
    uint8_t *bytes = realloc(p->bytes, capacity);
    if (!bytes) return 1;
    p->bytes = bytes;
    p->capacity = capacity;
  }
  memcpy(p->bytes + p->length, piece, length);
  p->length += length;
  return 0;
}

int th_dump(lua_State *L, int strip, uint8_t **bytes, size_t *length) {
  pieces all = {NULL, 0, 0};
  int good = lua_dump(L, add_piece, &all, strip) == 0;
  if (!good) { free(all.bytes); all.bytes = NULL; }
  *bytes = all.bytes;
  *length = all.length;
  return good;
}

void th_read_skip(th_reader *r, uint64_t n) {
  if (n > (uint64_t)(r->end - r->p)) { r->bad = 1; r->p = r->end; } else r->p += n;
}

unsigned th_read_byte(th_reader *r) {
  if (r->p == r->end) { r->bad = 1; return 0; }
  return *r->p++;
}

// Seven bits a byte, most significant first, the last one marked by its high bit.
uint64_t th_read_number(th_reader *r) {
  uint64_t n = 0;
  while (!r->bad) {
    unsigned b = th_read_byte(r);
    if (n >> 57) r->bad = 1;
    n = n << 7 | (b & 0x7f);
    if (b & 0x80) break;
  }
  return n;
}

void th_read_string(th_reader *r) {
  uint64_t size = th_read_number(r);
  if (size) th_read_skip(r, size - 1);
}

void th_read_constants(th_reader *r) {
  for (uint64_t n = th_read_number(r); n && !r->bad; n--) {
    switch (th_read_byte(r)) {
      case 0x00: case 0x01: case 0x11: break;                   // nil, false, true
      case 0x03: case 0x13: th_read_skip(r, 8); break;          // integer, float
      case 0x04: case 0x14: th_read_string(r); break;           // short and long string
      default: r->bad = 1;
    }
  }
}

th_prototype th_read_prototype(th_reader *r) {
  th_prototype f = {0};
  th_read_string(r);                       // source
  f.first_line = (long)th_read_number(r);
  th_read_number(r);                       // last line
  th_read_skip(r, 3);                      // parameters, vararg, stack size
  f.count = th_read_number(r);
  f.code = r->p;
  if (f.count > (size_t)(r->end - r->p) / 4) { r->bad = 1; return f; }
  th_read_skip(r, f.count * 4);
  th_read_constants(r);
  f.upvalues_count = th_read_number(r);
  f.upvalues = r->p;
  if (f.upvalues_count > 255) r->bad = 1;
  th_read_skip(r, f.upvalues_count * 3);
  return f;
}
