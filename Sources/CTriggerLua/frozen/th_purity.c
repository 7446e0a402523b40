// Does a call of a Lua function change an upvalue that outlives the call?
//
// Assignments to upvalues cannot be intercepted when they happen, but the compiler shows them: opcode
// SETUPVAL in the dumped function. For each nested prototype the upvalue assigned is followed through
// the descriptions of its enclosing functions; one found in a frame of the function itself is new at
// each call, one that leads out of the function is state. The format is that of Lua 5.4 (ldump.c);
// whatever we do not recognise counts as an assignment.
#include <stdlib.h>
#include <string.h>
#include "mends/th_dump.h"
#include "frozen/th_frozen.h"

enum { OPCODE_SETUPVAL = 10, PROTOTYPES_DEEP = 200 };

typedef struct prototype {
  const struct prototype *up;   // enclosing, NULL for the function itself
  th_prototype own;
} prototype;

static void debug_part(th_reader *r) {
  th_read_skip(r, th_read_number(r));
  for (uint64_t n = th_read_number(r); n && !r->bad; n--) { th_read_number(r); th_read_number(r); }
  for (uint64_t n = th_read_number(r); n && !r->bad; n--) { th_read_string(r); th_read_number(r); th_read_number(r); }
  for (uint64_t n = th_read_number(r); n && !r->bad; n--) th_read_string(r);
}

static int leads_out(const prototype *f, unsigned upvalue) {
  for (;;) {
    if (upvalue >= f->own.upvalues_count) return 1;
    if (!f->up) return 1;
    const uint8_t *description = f->own.upvalues + 3 * upvalue;
    if (description[0]) return 0;  // a local of the enclosing function, which this call runs
    upvalue = description[1];
    f = f->up;
  }
}

// Whether it, or a function in it, assigns to state.
static int function_assigns(th_reader *r, const prototype *up, int depth) {
  if (depth > PROTOTYPES_DEEP) { r->bad = 1; return 1; }
  prototype f = {up, th_read_prototype(r)};
  int assigns = 0;
  if (r->bad) return 1;
  for (size_t i = 0; i < f.own.count; i++) {
    uint32_t word;
    memcpy(&word, f.own.code + 4 * i, 4);
    if ((word & 0x7f) == OPCODE_SETUPVAL && leads_out(&f, word >> 16 & 0xff)) assigns = 1;
  }
  for (uint64_t n = th_read_number(r); n && !r->bad; n--) assigns |= function_assigns(r, &f, depth + 1);
  debug_part(r);
  return assigns;
}

static int assigns(uint8_t *bytes, size_t length) {
  static const uint8_t head[TH_DUMP_SIGNATURE] =
      {0x1b, 'L', 'u', 'a', 0x54, 0, 0x19, 0x93, '\r', '\n', 0x1a, '\n', 4, 8, 8};
  if (length < TH_DUMP_HEAD || memcmp(bytes, head, sizeof head) != 0) return 1;
  th_reader r = {bytes + TH_DUMP_HEAD, bytes + length, 0};
  int assigns = function_assigns(&r, NULL, 0);
  return r.bad || r.p != r.end || assigns;
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
