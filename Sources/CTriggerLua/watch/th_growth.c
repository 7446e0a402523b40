// Tables whose growth would take long.
//
// When a table grows, Lua puts each key into the new part by looking for it there first (ltable.c, reinsert), in one step
// that no hook sees. Integers and floats hash by their value, modulo the size, so a script can choose 100,000 keys that
// lie apart in the table it has and in one chain in the next size: half a minute. A table that is bad already is slow at
// every access, which a hook sees; only what becomes bad by growing is looked for here.
//
// Growing begins with a block for the new nodes, so the allocator asks here: does one of the attempt's tables that are
// full hold keys that would lie in one chain? Which table it is that grows the allocator cannot see; another that is
// full of such keys is no honest one either. How nodes look follows lobject.h of Lua 5.4; th_growth_test tries it on a
// table of known keys, and nothing is looked at where it fails.
#include <math.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "watch/th_watch.h"

enum {
  NODES_LEAST = 1 << 13,          // smaller tables grow in a tenth of a second whatever their keys are
  NODES_TEST = 16,
  KEY_INTEGER = LUA_TNUMBER, KEY_FLOAT = LUA_TNUMBER | 1 << 4, NO_KEY = 0,
  COUNTS_MOST = 1 << 20,
  SHORT_CHAIN = 64,               // floats that are times of one second are as many, and honest
};
static const uint64_t steps_most = 1u << 25;  // along chains: 0.1 s

typedef struct node {
  uint64_t value;
  uint8_t type, key_type;
  int32_t next;
  union { int64_t i; double n; } key;
} node;

// Node blocks of the attempt's tables.
typedef struct growing { node *nodes; size_t count; } growing;

struct th_growth {
  growing *list;
  size_t length, capacity, least;
  int knows_nodes;
};

static size_t nodes_in(size_t bytes) {
  size_t count = bytes / sizeof(node);
  return count * sizeof(node) == bytes && (count & (count - 1)) == 0 ? count : 0;
}

// As ltable.c, l_hashfloat.
static uint32_t hash_of_float(double n) {
  int exponent;
  n = frexp(n, &exponent) * -(double)INT_MIN;
  if (!(n >= -0x1p63 && n < 0x1p63)) return 0;
  uint32_t u = (uint32_t)exponent + (uint32_t)(int64_t)n;
  return u <= INT_MAX ? u : ~u;
}

// The place of a numeric key among `count` nodes.
static size_t place_of(const node *n, size_t count) {
  uint32_t odd = (uint32_t)((count - 1) | 1);
  if (n->key_type == KEY_FLOAT) return hash_of_float(n->key.n) % odd;
  uint64_t key = (uint64_t)n->key.i;
  return key >> 32 ? (size_t)(key % odd) : (uint32_t)key % odd;  // most are small, and dividing them takes less
}

static int is_numeric(const node *n) { return n->key_type == KEY_INTEGER || n->key_type == KEY_FLOAT; }

// Whether the keys of a full table lie in long chains among `count` nodes. No: it is not full.
static int would_chain(const growing *g, size_t count, uint16_t *counts, size_t places) {
  uint64_t keys = 0, steps = 0;
  for (size_t i = 0; i < g->count; i++) {
    const node *n = &g->nodes[i];
    if (n->key_type == NO_KEY) return 0;
    if (!is_numeric(n) || (n->type & 15) == LUA_TNIL) continue;
    size_t place = place_of(n, count);
    if (count > places) place = (place * 0x9E3779B97F4A7C15u) >> 44;
    uint16_t *of_place = &counts[place & (places - 1)];
    steps += *of_place;
    if (*of_place < UINT16_MAX) ++*of_place;
    keys++;
  }
  return steps > steps_most + keys * (SHORT_CHAIN + keys / places);
}

struct th_growth *th_growth_new(void) {
  struct th_growth *g = calloc(1, sizeof *g);
  if (g) g->least = NODES_LEAST;
  return g;
}

void th_growth_free(struct th_growth *g) {
  if (!g) return;
  free(g->list);
  free(g);
}

void th_growth_begin(struct th_growth *g) { g->length = 0; }

int th_growth_admits(struct th_growth *g, size_t bytes) {
  size_t count = nodes_in(bytes), places = count < COUNTS_MOST ? count : COUNTS_MOST;
  if (!g->knows_nodes || count < NODES_LEAST) return 1;
  for (size_t i = 0; i < g->length; i++) {
    // Before the counts are there: most tables are not full, and have a free node soon.
    const growing *from = &g->list[i];
    if (from->nodes[0].key_type == NO_KEY || from->nodes[from->count / 2].key_type == NO_KEY) continue;
    uint16_t *counts = calloc(places, sizeof *counts);
    if (!counts) return 1;
    int bad = would_chain(from, count, counts, places);
    free(counts);
    if (bad) return 0;
  }
  return 1;
}

void th_growth_add(struct th_growth *g, void *block, size_t bytes) {
  size_t count = nodes_in(bytes);
  if (count < g->least) return;
  if (g->length == g->capacity) {
    size_t capacity = g->capacity ? g->capacity * 2 : 64;
    growing *list = realloc(g->list, capacity * sizeof *list);
    if (!list) return;
    g->list = list;
    g->capacity = capacity;
  }
  g->list[g->length++] = (growing){block, count};
}

void th_growth_remove(struct th_growth *g, const void *block) {
  for (size_t i = g->length; i--;) {
    if (g->list[i].nodes != block) continue;
    g->list[i] = g->list[--g->length];
    return;
  }
}

// --- the test

// The keys of a table of 16 nodes, each found where its hash says or along the chain from there.
static int finds(const node *nodes, lua_Integer key) {
  node wanted = {.key_type = KEY_INTEGER, .key.i = key};
  size_t place = place_of(&wanted, NODES_TEST);
  for (int steps = 0; steps < NODES_TEST; steps++) {
    const node *n = &nodes[place];
    if (n->key_type == KEY_INTEGER && n->key.i == key) return n->value == (uint64_t)key + 1 && n->type == KEY_INTEGER;
    place += (size_t)(int64_t)n->next;
    if (n->next == 0 || place >= NODES_TEST) return 0;
  }
  return 0;
}

void th_growth_test(lua_State *L, struct th_growth *g) {
  TH_EFFECT(L, 0);
  size_t before = g->length, found = 0;
  g->least = NODES_TEST;
  lua_createtable(L, 0, NODES_TEST);
  g->least = NODES_LEAST;
  const node *nodes = g->length == before + 1 ? g->list[before].nodes : NULL;
  int empty = nodes != NULL;
  for (size_t i = 0; nodes && i < NODES_TEST; i++) empty &= nodes[i].key_type == NO_KEY;
  for (lua_Integer i = 0; empty && i < NODES_TEST; i++) {
    lua_pushinteger(L, i * i * 1000 + 8);
    lua_rawseti(L, -2, i * i * 1000 + 7);
  }
  for (lua_Integer i = 0; empty && i < NODES_TEST; i++) found += (size_t)finds(nodes, i * i * 1000 + 7);
  g->knows_nodes = found == NODES_TEST;
  if (g->length > before) g->length = before;
  lua_pop(L, 1);
}
