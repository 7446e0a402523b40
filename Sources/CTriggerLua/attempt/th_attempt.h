// An attempt, what a worker says of one that failed, and the bytes that it gives away.
#ifndef TH_ATTEMPT_H
#define TH_ATTEMPT_H

#include "libraries/th_libraries.h"

struct th_trigger {
  th_tree *tree;
  th_trigger *next;
  int execute_ref, spec_ref;
  int fresh;         // its chunk runs anew for each attempt
  int room;          // how often a run was given up because a stack moved
  int lasting;       // what a run did stays (th_session.c), so it cannot begin anew
  char path[];
};

// --- th_attempt.c
// Runs body(argument) under pcall as an attempt with limits. Returns enum th_status and sets the error.
// When runner->trigger is set and a frozen table is written, the trigger goes over to fresh mode and the
// body runs a second time.
int th_protected(th_worker *w, lua_CFunction body, void *argument, const th_limits *limits);

// --- th_error.c
enum { TH_ERROR_BYTES = 8192 };
int th_describe(lua_State *L);                   // the message handler of every attempt
void th_take_error(th_worker *w, lua_State *L);  // from the value on top. Does not raise
void th_set_error(th_worker *w, const char *text, size_t length);

// --- th_scratch.c
// A copy of the scratch buffer, for th_free; 0, with the error set, when out of memory. Does not raise.
int th_give_scratch(th_worker *w, uint8_t **bytes, size_t *length);

#endif
