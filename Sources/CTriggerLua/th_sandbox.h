// Shared by the sandbox's libraries (th_base.c to th_os.c); the runner does not see it.
#ifndef TH_SANDBOX_H
#define TH_SANDBOX_H

#include "th_internal.h"

// Counts work of a C loop and checks now and then: a th_check per step would cost more than the step.
#define th_step(L, steps, cost) \
  do { if (__builtin_expect(((steps) += (unsigned)(cost)) >= 256, 0)) { (steps) = 0; th_check(L); } } while (0)

// --- th_order.c: the fixed order of keys and values
typedef struct th_entry {
  enum { TH_INT, TH_FLOAT, TH_STRING, TH_BOOL, TH_INTENT, TH_OBJECT, TH_UNORDERED } kind;
  int slot;                 // where the value is kept: a stack index or an index of a table
  size_t length;
  union { lua_Integer i; lua_Number n; const char *s; uint64_t place; } u;
} th_entry;
void th_entry_read(lua_State *L, int index, th_entry *entry);
// In the fixed order; two objects have none.
int th_entry_before(const th_entry *a, const th_entry *b);
// Sorts entries; `scratch` has room for as many. Raises only the attempt's end.
void th_entry_sort(lua_State *L, th_entry *entries, th_entry *scratch, size_t count);
// Looks at the keys of a table (its content, if frozen). Returns n such that the keys 1..n come first; pushes a
// table with the other keys in order, or nil when there are none.
lua_Integer th_order_keys(lua_State *L, int table);
int th_next(lua_State *L);
int th_pairs(lua_State *L);

// --- th_born.c
// The place of a table, function or coroutine in the order of their making; 0: it has none. Does not raise.
uint64_t th_place_of(lua_State *L, int index);

// --- th_pattern.c
int th_string_find(lua_State *L);
int th_string_match(lua_State *L);
int th_string_gmatch(lua_State *L);
int th_string_gsub(lua_State *L);

// --- th_format.c
int th_string_format(lua_State *L);

#endif
