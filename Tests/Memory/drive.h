// The driver behind scripts/test-memory: the C of this product under AddressSanitizer and UndefinedBehaviorSanitizer,
// without Swift. Every round follows from its seed.
//
//   main.c     rounds, and what is said when one goes wrong
//   chance.c   numbers from a seed
//   grammar.c  scripts over the allowed API
//   corpus.c   the hostile scripts of Tests/HostileScripts
//   host.c     what the engine answers while a script runs; a transcript of all that a run gave
//   scripts.c  one script in many ways: kept, anew, on workers of any past, ended anywhere
//   values.c   encoded values, good and damaged
//   failing.c  malloc, which fails where it is told to
#ifndef DRIVE_H
#define DRIVE_H

#include <stddef.h>
#include <stdint.h>
#include "attempt/th_attempt.h"

// --- chance.c
typedef struct chance { uint64_t state; } chance;
uint64_t chance_next(chance *c);
uint32_t chance_below(chance *c, uint32_t bound);           // 0 ..< bound
static inline int chance_one_in(chance *c, uint32_t n) { return chance_below(c, n) == 0; }

// --- a text or bytes that grow
typedef struct text { char *bytes; size_t length, capacity; } text;
void text_add(text *t, const void *bytes, size_t length);
void text_say(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_clear(text *t);
void text_free(text *t);

// --- grammar.c: a script of a tree, and a module that it may require
void grammar_script(chance *c, text *script);
void grammar_module(chance *c, text *module);

// --- corpus.c
typedef struct hostile { char *name, *head, *body; size_t memory; int is_endless; } hostile;
typedef struct corpus { hostile *scripts; size_t count; } corpus;
int corpus_read(corpus *all, const char *directory);        // 0: it cannot be read
void corpus_free(corpus *all);
void corpus_source(const hostile *script, text *source);

// --- host.c
typedef struct file { const char *path; const char *text; size_t length; } file;
typedef struct tree_files { const file *files; size_t count; } tree_files;
typedef struct attempt {
  text transcript;
  size_t held;
  void **buffers; size_t buffers_count, buffers_capacity;  // freed when it ends, so that a later look is seen
} attempt;
extern const th_host drive_host;
void attempt_begin(attempt *a);
void attempt_finish(attempt *a, th_worker *w, int status, const th_output *output);
void attempt_free(attempt *a);

// --- scripts.c
void drive_script(chance *c, const tree_files *files, const char *path, size_t memory, int is_endless);
void scripts_end(void);                                      // frees the worker that lives through many rounds
extern uint64_t runs, runs_compared;

// --- values.c
void drive_values(chance *c);
void value_good(chance *c, text *bytes, int depth);
extern uint64_t values_decoded, values_refused;

// --- failing.c: the n-th request from now on fails, or all from it on; 0: none
void fail_at(uint64_t n, int and_on);
uint64_t requests(void);                                     // since the last fail_at
extern uint64_t failed_requests;

// --- main.c
// Ends what runs on the worker after so many microseconds; 0: it is not watched any more.
void watch(th_worker *w, uint64_t microseconds);
extern _Atomic uint64_t watch_ends;                          // how many attempts were ended
_Noreturn void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
void now_running(const char *what, const char *path, const char *source);  // for what is said when it goes wrong

#endif
