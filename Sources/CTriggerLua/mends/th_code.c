// Wrong code that Lua's compiler makes of good source, put right before it runs.
//
// Up to 5.4.7 there are three kinds, each known by its shape, which right code never has:
//
//   indices   `upvalue[a == b]`: the instruction that gets the upvalue stands between the comparison's jump and the
//             two that make a truth value of it, so it is jumped over when the comparison holds
//   operands  `1 | (v or 2)` in a function with more than 256 constants: the same for the instruction that loads the
//             constant operand of a bitwise operator
//   closes    `break` out of a generic for in which a function uses a local: the loop's closing value stays pending,
//             on a part of the stack that others use then (which can end the host)
//
// For the first two, the instruction is moved down behind what jumps over it; for the third, the close begins at the
// loop's own values. Last, an expression of very many names in a row makes Lua search and recurse in C, unbounded, when
// an error message names it: it is refused, with its line.
//
// The format is that of lua_dump (ldump.c, lopcodes.h), from a Lua whose code th_purity_selftest and th_code_selftest
// have recognised.
#include <stdlib.h>
#include <string.h>
#include "mends/th_dump.h"
#include "mends/th_mends.h"

enum { NAMES_MOST = 500, FUNCTIONS_DEEP = 210, NEAR = 6, REGISTERS = 256 };

enum opcode {
  MOVE = 0, LOADI = 1, LOADK = 3, LFALSESKIP = 6, LOADTRUE = 7, GETUPVAL = 9, GETTABUP = 11, GETTABLE = 12, GETI = 13,
  GETFIELD = 14, SELF = 20, BAND = 41, BXOR = 43, CLOSE = 54, JMP = 56, EQ = 57, TEST = 66, TESTSET = 67,
  FORLOOP = 73, TFORLOOP = 77
};

typedef struct mending {
  int changed;
  const char *refusal; long line;
} mending;

// One function. What jumps to an instruction: the register that holds a value then, or a mark.
typedef struct function {
  uint8_t *code; size_t count;
  int16_t *lands;      // NULL: not needed
  int32_t *locals;     // active at each instruction
  const uint8_t *lines; size_t lines_count;
  const uint8_t *absolute; size_t absolute_bytes;
  long first_line;
} function;

enum { NOTHING_LANDS = -1, SEVERAL_LAND = -2 };

static uint32_t word(const function *f, size_t pc) {
  uint32_t w;
  memcpy(&w, f->code + 4 * pc, 4);
  return w;
}

static void set_word(function *f, size_t pc, uint32_t w) { memcpy(f->code + 4 * pc, &w, 4); }

static int op(uint32_t w) { return (int)(w & 0x7f); }
static int a(uint32_t w) { return (int)(w >> 7 & 0xff); }
static int b(uint32_t w) { return (int)(w >> 16 & 0xff); }
static int c(uint32_t w) { return (int)(w >> 24 & 0xff); }
static int k(uint32_t w) { return (int)(w >> 15 & 1); }
static long target(uint32_t w, size_t pc) { return (long)pc + 1 + (long)(w >> 7) - 0xffffff; }
static uint32_t jump_to(long to, size_t pc) { return JMP | (uint32_t)(to - (long)pc - 1 + 0xffffff) << 7; }

// --- reading the dump

static void debug_part(th_reader *r, function *f) {
  f->lines_count = th_read_number(r);
  f->lines = r->p;
  th_read_skip(r, f->lines_count);
  uint64_t absolute = th_read_number(r);
  f->absolute = r->p;
  for (; absolute && !r->bad; absolute--) { th_read_number(r); th_read_number(r); }
  f->absolute_bytes = (size_t)(r->p - f->absolute);
  for (uint64_t n = th_read_number(r); n && !r->bad; n--) {
    th_read_string(r);
    uint64_t from = th_read_number(r), to = th_read_number(r);
    if (f->locals && from < f->count && to <= f->count) { f->locals[from]++; f->locals[to]--; }
  }
  for (uint64_t n = th_read_number(r); n && !r->bad; n--) th_read_string(r);
}

static long line_of(const function *f, size_t pc) {
  long line = f->first_line;
  for (size_t i = 0; i <= pc && i < f->lines_count; i++) {
    if ((int8_t)f->lines[i] != -128) { line += (int8_t)f->lines[i]; continue; }
    th_reader r = {(uint8_t *)(uintptr_t)f->absolute, (uint8_t *)(uintptr_t)f->absolute + f->absolute_bytes, 0};
    while (r.p < r.end && !r.bad) {
      uint64_t at = th_read_number(&r), is = th_read_number(&r);
      if (at == i) line = (long)is;
    }
  }
  return line;
}

// --- wrong code

static void refuse(const function *f, mending *m, size_t pc, const char *why) {
  if (m->refusal) return;
  m->refusal = why;
  m->line = line_of(f, pc);
}

// The instruction at `from` goes to the place before `to`; what jumped behind it still comes to it.
static void move_down(function *f, mending *m, size_t from, size_t to) {
  for (size_t pc = from + 1; pc < to; pc++) {
    int o = op(word(f, pc));
    if (o < JMP && o != CLOSE) continue;
    refuse(f, m, pc, "this Lua makes wrong code of this expression; give its parts local names");
    return;
  }
  uint32_t moved = word(f, from);
  memmove(f->code + 4 * from, f->code + 4 * (from + 1), 4 * (to - from - 1));
  set_word(f, to - 1, moved);
  for (size_t pc = 0; pc < from; pc++) {
    uint32_t w = word(f, pc);
    if (op(w) != JMP) continue;
    long at = target(w, pc);
    if (at > (long)from && at <= (long)to) set_word(f, pc, jump_to(at - 1, pc));
  }
  m->changed = 1;
}

// The register whose value a jump out of an `and` or `or` carries.
static int value_of_jump(const function *f, size_t pc) {
  if (!pc) return NOTHING_LANDS;
  uint32_t w = word(f, pc - 1);
  int o = op(w);
  if (o == TEST || o == TESTSET) return a(w);
  return o <= GETFIELD ? a(w) : NOTHING_LANDS;  // a load
}

static void find_landings(function *f) {
  for (size_t pc = 0; pc < f->count; pc++) f->lands[pc] = NOTHING_LANDS;
  for (size_t pc = 0; pc < f->count; pc++) {
    uint32_t w = word(f, pc);
    if (op(w) != JMP) continue;
    long at = target(w, pc);
    int value = value_of_jump(f, pc);
    if (value == NOTHING_LANDS || at <= (long)pc || at >= (long)f->count) continue;
    f->lands[at] = (int16_t)(f->lands[at] == NOTHING_LANDS || f->lands[at] == value ? value : SEVERAL_LAND);
  }
}

static void mend_index(function *f, mending *m, size_t pc) {
  if (pc < 3 || pc + 2 >= f->count || op(word(f, pc + 1)) != LOADTRUE) return;
  if (op(word(f, pc - 1)) == JMP || op(word(f, pc - 2)) != JMP) return;
  if (target(word(f, pc - 2), pc - 2) == (long)pc + 1) move_down(f, m, pc - 1, pc + 2);
}

// The constant operand in `reg` of the operator at `pc`, when a jump that carries another value goes past its load.
static int mend_operand(function *f, mending *m, size_t pc, int reg) {
  if (reg < f->locals[pc]) return 0;
  for (size_t p = pc; p-- > 0 && pc - p <= NEAR;) {
    uint32_t w = word(f, p);
    int o = op(w);
    if (o >= EQ || o == JMP) return 0;
    if (a(w) != reg) continue;
    if (o != LOADI && o != LOADK) return 0;
    for (size_t at = p + 1; at <= pc; at++) {
      if (f->lands[at] == NOTHING_LANDS || f->lands[at] == reg) continue;
      move_down(f, m, p, pc);
      return 1;
    }
    return 0;
  }
  return 0;
}

static void mend_close(function *f, mending *m, size_t pc) {
  if (pc + 1 >= f->count) return;
  int base = a(word(f, pc));
  uint32_t next = word(f, pc + 1);
  if (op(next) != CLOSE || a(next) != base + 4) return;
  set_word(f, pc + 1, (next & ~(0xffu << 7)) | (uint32_t)base << 7);
  m->changed = 1;
}

static int has_operators(const function *f) {
  for (size_t pc = 0; pc < f->count; pc++) if (op(word(f, pc)) >= BAND && op(word(f, pc)) <= BXOR) return 1;
  return 0;
}

static void mend(function *f, mending *m) {
  for (size_t pc = 0; pc < f->count; pc++) {
    int o = op(word(f, pc));
    if (o == LFALSESKIP) mend_index(f, m, pc);
    if (o == TFORLOOP) mend_close(f, m, pc);
  }
  if (!f->lands) return;
  find_landings(f);
  for (size_t pc = 0; pc < f->count; pc++) {
    uint32_t w = word(f, pc);
    if (op(w) < BAND || op(w) > BXOR) continue;
    if (mend_operand(f, m, pc, b(w)) || mend_operand(f, m, pc, c(w))) find_landings(f);
  }
}

// --- names

// How much of the code Lua looks through for the name of a register: ldebug.c, getobjname. Locals have names at once.
static void count_names(const function *f, mending *m) {
  unsigned names[REGISTERS] = {0};
  for (size_t pc = 0; pc < f->count; pc++) {
    uint32_t w = word(f, pc);
    int o = op(w), active = f->locals[pc];
    unsigned from = b(w) < active ? 0 : names[b(w)], key = c(w) < active ? 0 : names[c(w)];
    switch (o) {
      case MOVE: case GETI: case GETFIELD: names[a(w)] = from + 1; break;
      case GETTABLE: names[a(w)] = from + key + 1; break;
      case SELF: names[a(w)] = k(w) ? 1 : key + 1; break;
      default: if (o != TEST) names[a(w)] = 0;
    }
    if (names[a(w)] <= NAMES_MOST) continue;
    refuse(f, m, pc, "more than 500 fields in a row; give a part of this expression a local name");
    return;
  }
}

// --- functions

static void look_at(function *f, mending *m, int guards) {
  int active = 0;
  for (size_t pc = 0; pc <= f->count; pc++) { active += f->locals[pc]; f->locals[pc] = active; }
  if (guards & TH_GUARD_NAMES) count_names(f, m);
  if (guards & TH_GUARD_CODE) mend(f, m);
}

static void look_at_function(th_reader *r, mending *m, int guards, int depth) {
  if (depth > FUNCTIONS_DEEP) { r->bad = 1; return; }
  function f = {0};
  th_prototype own = th_read_prototype(r);
  f.first_line = own.first_line;
  f.code = own.code;
  f.count = own.count;
  if (r->bad) return;
  for (uint64_t n = th_read_number(r); n && !r->bad; n--) look_at_function(r, m, guards, depth + 1);
  f.locals = calloc(f.count + 1, sizeof *f.locals);
  if (has_operators(&f)) f.lands = malloc((f.count + 1) * sizeof *f.lands);
  if (f.locals) debug_part(r, &f); else r->bad = 1;
  if (!r->bad) look_at(&f, m, guards);
  free(f.locals);
  free(f.lands);
}

static int refused(lua_State *L, const mending *m) {
  lua_Debug ar;
  lua_getinfo(L, ">S", &ar);
  lua_pushfstring(L, "%s:%d: %s", ar.short_src, (int)m->line, m->refusal);
  return 0;
}

int th_mend_code(lua_State *L) {
  int guards = th_guards() & (TH_GUARD_CODE | TH_GUARD_NAMES);
  if (!guards) return 1;
  uint8_t *bytes;
  size_t length;
  mending m = {0};
  if (!th_dump(L, 0, &bytes, &length)) { m.refusal = "not enough memory"; return refused(L, &m); }
  th_reader r = {bytes + TH_DUMP_HEAD, bytes + length, length < TH_DUMP_HEAD};
  if (!r.bad) look_at_function(&r, &m, guards, 0);
  if (r.bad || r.p != r.end) m.refusal = "the code of this Lua is not understood";
  int status = LUA_OK;
  if (!m.refusal && m.changed) {
    status = luaL_loadbufferx(L, (const char *)bytes, length, "mended", "b");
    lua_remove(L, -2);
  }
  free(bytes);
  if (m.refusal) return refused(L, &m);
  return status == LUA_OK;
}

// Of each kind one that fails before it is mended, and what it gives then.
int th_code_selftest(lua_State *L) {
  static const char *const samples[] = {
    "local t = {[true] = 1, [false] = 2}; return (function(a, b) return t[a == b] == 1 and t[a ~= b] == 2 end)(7, 7)",
    "local closed; local o = setmetatable({}, {__close = function() closed = true end})"
    "for k in next, {1}, nil, o do local function f() return k end; break end; return closed",
  };
  int good = 1, top = lua_gettop(L);
  for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
    good = good && luaL_loadstring(L, samples[i]) == LUA_OK && th_mend_code(L) && lua_pcall(L, 0, 1, 0) == LUA_OK &&
           lua_toboolean(L, -1);
    lua_settop(L, top);
  }
  return good;
}
