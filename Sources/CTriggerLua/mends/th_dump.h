// Reading what lua_dump writes (ldump.c): prototypes of a function, one in another.
//
// What is not as it should be sets `bad` and reads as nothing; who reads looks at that at the end.
#ifndef TH_DUMP_H
#define TH_DUMP_H

#include <stddef.h>
#include <stdint.h>
#include <lua.h>

// The dump of the Lua function at the top, for free; 0 when out of memory. Does not raise.
int th_dump(lua_State *L, int strip, uint8_t **bytes, size_t *length);

enum {
  TH_DUMP_SIGNATURE = 15,                          // and the sizes of an instruction, an integer and a float
  TH_DUMP_HEAD = TH_DUMP_SIGNATURE + 16 + 1,       // and a sample of both, and the number of upvalues
};

typedef struct th_reader { uint8_t *p, *end; int bad; } th_reader;

void th_read_skip(th_reader *r, uint64_t n);
unsigned th_read_byte(th_reader *r);
uint64_t th_read_number(th_reader *r);
void th_read_string(th_reader *r);
void th_read_constants(th_reader *r);

// A prototype as far as its code and upvalues; those in it follow, and then what is for debugging.
typedef struct th_prototype {
  long first_line;
  uint8_t *code; size_t count;      // instructions of four bytes
  const uint8_t *upvalues; size_t upvalues_count;   // triples instack, index, kind
} th_prototype;

th_prototype th_read_prototype(th_reader *r);

#endif
