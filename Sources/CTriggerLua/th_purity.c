// Does a call of a Lua function change an upvalue that outlives the call?
//
// Assignments to upvalues cannot be intercepted when they happen, but the compiler shows them: opcode
// SETUPVAL in the dumped function. For each nested prototype the upvalue assigned is followed through
// the descriptions of its enclosing functions; one found in a frame of the function itself is new at
// each call, one that leads out of the function is state. The format is that of Lua 5.4 (ldump.c);
// whatever we do not recognise counts as an assignment.
#include <stdlib.h>
#include <string.h>
#include "th_runner.h"

enum { OPCODE_SETUPVAL = 10, PROTOTYPES_DEEP = 200 };

typedef struct prototype {
  const struct prototype *up;   // enclosing, NULL for the function itself
  const uint8_t *upvalues;      // triples instack, index, kind
  uint64_t upvalues_count;
} prototype;

typedef struct reader { const uint8_t *p, *end; int bad, assigns; } reader;

static void skip(reader *r, uint64_t n) {
  if (n > (uint64_t)(r->end - r->p)) { r->bad = 1; r->p = r->end; } else r->p += n;
}

static unsigned byte(reader *r) {
  if (r->p == r->end) { r->bad = 1; return 0; }
  return *r->p++;
}

// Seven bits a byte, most significant first, the last one marked by its high bit.
static uint64_t number(reader *r) {
  uint64_t n = 0;
  while (!r->bad) {
    unsigned b = byte(r);
    if (n >> 57) r->bad = 1;
    n = n << 7 | (b & 0x7f);
    if (b & 0x80) break;
  }
  return n;
}

static void string(reader *r) {
  uint64_t size = number(r);
  if (size) skip(r, size - 1);
}

static void constants(reader *r) {
  for (uint64_t n = number(r); n && !r->bad; n--) {
    switch (byte(r)) {
      case 0x00: case 0x01: case 0x11: break;        // nil, false, true
      case 0x03: case 0x13: skip(r, 8); break;       // integer, float
      case 0x04: case 0x14: string(r); break;        // short and long string
      default: r->bad = 1;
    }
  }
}

static void debug_part(reader *r) {
  skip(r, number(r));
  for (uint64_t n = number(r); n && !r->bad; n--) { number(r); number(r); }
  for (uint64_t n = number(r); n && !r->bad; n--) { string(r); number(r); number(r); }
  for (uint64_t n = number(r); n && !r->bad; n--) string(r);
}

static int leads_out(const prototype *f, unsigned upvalue) {
  for (;;) {
    if (upvalue >= f->upvalues_count) return 1;
    if (!f->up) return 1;
    const uint8_t *description = f->upvalues + 3 * upvalue;
    if (description[0]) return 0;  // a local of the enclosing function, which this call runs
    upvalue = description[1];
    f = f->up;
  }
}

static void function(reader *r, const prototype *up, int depth) {
  if (depth > PROTOTYPES_DEEP) { r->bad = 1; return; }
  string(r);                       // source
  number(r); number(r);            // lines
  skip(r, 3);                      // parameters, vararg, stack size
  uint64_t instructions = number(r);
  const uint8_t *code = r->p;
  if (instructions > (uint64_t)(r->end - r->p) / 4) { r->bad = 1; return; }
  skip(r, instructions * 4);
  constants(r);
  prototype f = {up, NULL, number(r)};
  f.upvalues = r->p;
  if (f.upvalues_count > 255) r->bad = 1;
  skip(r, f.upvalues_count * 3);
  if (r->bad) return;
  for (uint64_t i = 0; i < instructions; i++) {
    uint32_t word;
    memcpy(&word, code + 4 * i, 4);
    if ((word & 0x7f) == OPCODE_SETUPVAL && leads_out(&f, word >> 16 & 0xff)) r->assigns = 1;
  }
  for (uint64_t n = number(r); n && !r->bad; n--) function(r, &f, depth + 1);
  debug_part(r);
}

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

static int assigns(const uint8_t *bytes, size_t length) {
  static const uint8_t head[] = {0x1b, 'L', 'u', 'a', 0x54, 0, 0x19, 0x93, '\r', '\n', 0x1a, '\n', 4, 8, 8};
  reader r = {bytes, bytes + length, 0, 0};
  if (length < sizeof head + 17 || memcmp(bytes, head, sizeof head) != 0) return 1;
  skip(&r, sizeof head + 16 + 1);  // the sample integer and float, the number of upvalues
  function(&r, NULL, 0);
  return r.bad || r.p != r.end || r.assigns;
}

int th_assigns_upvalues(lua_State *L) {
  if (!th_worker_of(L)->runner->analysis_works) return 1;
  uint8_t *bytes;
  size_t length;
  int result = !th_dump(L, 1, &bytes, &length) || assigns(bytes, length);
  free(bytes);
  return result;
}

// The samples have known answers; a Lua whose code differs fails one of them and nothing is ever kept.
int th_purity_selftest(lua_State *L) {
  static const struct { const char *text; int assigns; } samples[] = {
    {"local x = 0; return function() return x end", 0},
    {"local x = 0; return function() x = x + 1 end", 1},
    {"local x = 0; return function() return function() x = {} end end", 1},
    {"return function() local y = 1; return function() y = y + 1; return y end end", 0},
    {"local x, z; return function(a, ...) local b = 1.5; return function() b = 'text'; "
     "return function() b = 7; local c = x; return c end end, z, ... end", 0},
  };
  th_worker_of(L)->runner->analysis_works = 1;
  for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
    if (luaL_loadstring(L, samples[i].text) != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK ||
        th_assigns_upvalues(L) != samples[i].assigns) th_worker_of(L)->runner->analysis_works = 0;
    lua_pop(L, 1);
  }
  return th_worker_of(L)->runner->analysis_works;
}
