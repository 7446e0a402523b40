// Numbers from a seed (splitmix64), and texts that grow.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "drive.h"

uint64_t chance_next(chance *c) {
  uint64_t z = (c->state += 0x9e3779b97f4a7c15u);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

uint32_t chance_below(chance *c, uint32_t bound) { return (uint32_t)((chance_next(c) >> 32) * bound >> 32); }

void text_add(text *t, const void *bytes, size_t length) {
  if (t->length + length + 1 > t->capacity) {
    t->capacity = (t->length + length + 1) * 2;
    t->bytes = realloc(t->bytes, t->capacity);
    if (!t->bytes) abort();
  }
  if (length) memcpy(t->bytes + t->length, bytes, length);
  t->length += length;
  t->bytes[t->length] = 0;
}

void text_say(text *t, const char *format, ...) {
  va_list list;
  char small[512];
  va_start(list, format);
  int length = vsnprintf(small, sizeof small, format, list);
  va_end(list);
  text_add(t, small, (size_t)length < sizeof small ? (size_t)length : sizeof small - 1);
}

void text_clear(text *t) {
  t->length = 0;
  text_add(t, "", 0);
}

void text_free(text *t) {
  free(t->bytes);
  memset(t, 0, sizeof *t);
}
