// Encoded values: what is good comes back byte for byte, what is damaged is refused or read, and nothing else.
#include <stdlib.h>
#include <string.h>
#include "drive.h"

uint64_t values_decoded, values_refused;

static void head(text *to, unsigned major, uint64_t n) {
  uint8_t bytes[9];
  unsigned extra = n < 24 ? 0 : n < 0x100 ? 1 : n < 0x10000 ? 2 : n < 0x100000000 ? 4 : 8;
  bytes[0] = (uint8_t)(major << 5 | (extra == 0 ? (unsigned)n : extra == 1 ? 24 : extra == 2 ? 25 : extra == 4 ? 26 : 27));
  for (unsigned i = 0; i < extra; i++) bytes[1 + i] = (uint8_t)(n >> (8 * (extra - 1 - i)));
  text_add(to, bytes, 1 + extra);
}

static uint64_t any_size(chance *c) { return chance_next(c) >> (1 + chance_below(c, 63)); }

static void good_text(chance *c, text *to) {
  static const char *const parts[] = {"a", "bc", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\n", "text"};
  text content = {0};
  for (uint32_t i = 0, n = chance_below(c, chance_one_in(c, 10) ? 200 : 5); i < n; i++) {
    const char *part = parts[chance_below(c, sizeof parts / sizeof *parts)];
    text_add(&content, part, strlen(part));
  }
  head(to, 3, content.length);
  text_add(to, content.bytes, content.length);
  text_free(&content);
}

static void good_map(chance *c, text *to, int depth) {
  uint32_t n = chance_below(c, chance_one_in(c, 8) ? 60 : 5);
  head(to, 5, n);
  for (uint32_t i = 0; i < n; i++) {  // in order: of one length, and ascending
    char key[3] = {'a', (char)('a' + i / 26), (char)('a' + i % 26)};
    head(to, 3, 3);
    text_add(to, key, 3);
    value_good(c, to, depth - 1);
  }
}

void value_good(chance *c, text *to, int depth) {
  static const uint8_t doubles[][9] = {
    {0xf9, 0x3c, 0x00}, {0xf9, 0x7c, 0x00}, {0xf9, 0x7e, 0x00}, {0xf9, 0x00, 0x01}, {0xf9, 0x80, 0x00},
    {0xfa, 0x47, 0xc3, 0x50, 0x00}, {0xfb, 0x3f, 0xf1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a}};
  switch (chance_below(c, depth > 0 ? 9 : 6)) {
    case 0: head(to, 0, any_size(c)); return;
    case 1: head(to, 1, any_size(c)); return;
    case 2: text_add(to, (const char *[]){"\xf4", "\xf5", "\xf6"}[chance_below(c, 3)], 1); return;
    case 3: {
      const uint8_t *d = doubles[chance_below(c, 7)];
      text_add(to, d, d[0] == 0xf9 ? 3 : d[0] == 0xfa ? 5 : 9);
      return;
    }
    case 4: head(to, 2, 3); text_add(to, "\xff\x80\xfe", 3); return;
    case 5: good_text(c, to); return;
    case 6: case 7: good_map(c, to, depth); return;
    default: {
      uint32_t n = chance_below(c, chance_one_in(c, 8) ? 300 : 6);
      head(to, 4, n);
      for (uint32_t i = 0; i < n; i++) value_good(c, to, n > 20 ? 0 : depth - 1);
    }
  }
}

// --- through a script that gives back what it got

static const char echo_text[] = "return { on = {event = 'x'}, execute = function(event, ctx) return { ctx:store('s'):put('k', event) } end }";
static const file echo_list[] = {{"echo.lua", echo_text, sizeof echo_text - 1}};
static const tree_files echo_files = {echo_list, 1};

static void damage(chance *c, text *bytes) {
  for (uint32_t i = 0, n = 1 + chance_below(c, 4); i < n && bytes->length; i++) {
    size_t at = chance_below(c, (uint32_t)bytes->length);
    switch (chance_below(c, 5)) {
      case 0: bytes->length = at; break;
      case 1: bytes->bytes[at] = (char)chance_next(c); break;
      case 2: bytes->bytes[at] ^= (char)(1 << chance_below(c, 8)); break;
      case 3: {
        char again[20];
        size_t length = bytes->length - at > sizeof again ? sizeof again : bytes->length - at;
        memcpy(again, bytes->bytes + at, length);
        text_add(bytes, again, length);
        break;
      }
      default: bytes->bytes[at] = (char)(0x18 + chance_below(c, 8) + (chance_below(c, 8) << 5)); break;
    }
  }
}

// `is_good`: it must come back.
static void echo(th_worker *w, th_trigger *t, const text *bytes, int is_good) {
  attempt a = {0};
  th_attempt_info info = {1, 0, 1, "t", 1, "x", 1, &a.held};
  th_limits limits = {64u << 20, 1u << 24, 64, 10, 1u << 24};
  th_output output = {0};
  uint8_t *exact = malloc(bytes->length ? bytes->length : 1);
  if (bytes->length) memcpy(exact, bytes->bytes, bytes->length);
  attempt_begin(&a);
  int status = th_run(w, t, &a, &info, exact, bytes->length, &limits, &output);
  if (status == TH_OK) values_decoded++; else values_refused++;
  const th_intent *i = output.intents;
  int is_null = bytes->length == 1 && (uint8_t)*bytes->bytes == 0xf6;
  if (is_good && !is_null &&
      (status != TH_OK || output.returned_length != 1 || i->value_length != bytes->length ||
       memcmp(output.bytes + i->value_offset, exact, bytes->length) != 0))
    wrong("a good value of %zu bytes comes back otherwise: %s", bytes->length, th_worker_error(w, NULL));
  free(exact);
  attempt_finish(&a, w, status, &output);
  attempt_free(&a);
  th_output_free(&output);
}

void drive_values(chance *c) {
  now_running("encoded values", "echo.lua", "");
  th_worker *w = th_worker_new(&drive_host);
  th_tree *tree = w ? th_tree_new(w, (void *)(uintptr_t)&echo_files, 0, 1) : NULL;
  th_limits limits = {1u << 20, 1u << 20, 64, 10, 1u << 20};
  th_trigger *t = tree ? th_trigger_load(w, tree, "echo.lua", &limits) : NULL;
  if (!t) wrong("no worker");
  for (int i = 0; i < 12; i++) {
    text bytes = {0};
    value_good(c, &bytes, 4);
    echo(w, t, &bytes, 1);
    for (int j = 0; j < 4; j++) {
      text damaged = {0};
      text_add(&damaged, bytes.bytes, bytes.length);
      damage(c, &damaged);
      echo(w, t, &damaged, 0);
      text_free(&damaged);
    }
    text_free(&bytes);
  }
  th_tree_free(w, tree);
  th_worker_free(w);
}
