// What scripts see of values, the same in every run: the mark of arrays, the order of keys, what print shows.
#ifndef TH_VALUES_H
#define TH_VALUES_H

#include "frozen/th_frozen.h"

// --- th_array.c
// Marks the table at index as array (decoded arrays and array{} carry the mark).
void th_mark_array(lua_State *L, int index);
int th_is_array(lua_State *L, int index);

// --- th_born.c
// The place of a table, function or coroutine in the order of their making; 0: it has none. Does not raise.
uint64_t th_place_of(lua_State *L, int index);
// The origin of objects that a chunk makes. Does not raise: out of memory, they have no order.
uint64_t th_origin_of(th_worker *w, const char *path);
void th_origins_free(struct th_runner *r);
void th_open_born(lua_State *L);            // when the libraries are there. May raise (memory)

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

// --- th_print.c
// What print and ctx:log show: as th_tostring, but the content of a table. [-0, +1]
const char *th_shown(lua_State *L, int index, size_t *length);

#endif
