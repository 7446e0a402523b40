// What a worker gives away as bytes that the caller frees.
#include <stdlib.h>
#include <string.h>
#include "attempt/th_attempt.h"

int th_give_scratch(th_worker *w, uint8_t **bytes, size_t *length) {
  th_output *scratch = &w->runner->scratch;
  *bytes = malloc(scratch->bytes_length + 1);
  if (!*bytes) { th_set_error(w, "not enough memory", 17); return 0; }
  memcpy(*bytes, scratch->bytes, scratch->bytes_length);
  *length = scratch->bytes_length;
  return 1;
}

void th_free(void *bytes) { free(bytes); }
