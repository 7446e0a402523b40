// The run of a trigger for one event.
#include "api/th_api.h"

static int run_body(lua_State *L) {
  th_worker *w = th_worker_of(L);
  struct th_runner *r = w->runner;
  if (__builtin_expect(r->fresh || r->trigger->execute_ref == LUA_NOREF, 0)) th_push_execute(L, r->trigger);
  else th_get_ref(L, r->trigger->execute_ref);
  w->clock_ns = w->info->admission_ns;
  th_seed(w, w->info->random_seed);
  th_decode(L, r->event, r->event_length);
  th_get_ref(L, r->ctx_ref);
  lua_call(L, 2, 1);
  th_collect_returned(L, lua_gettop(L));
  return 0;
}

int th_run(th_worker *w, th_trigger *t, void *attempt, const th_attempt_info *info,
           const uint8_t *event, size_t event_length, const th_limits *limits, th_output *output) {
  struct th_runner *r = w->runner;
  w->attempt = attempt;
  w->info = info;
  w->output = output;
  w->tree = t->tree;
  r->trigger = t;
  r->event = event;
  r->event_length = event_length;
  int status = th_protected(w, run_body, NULL, limits);
  r->trigger = NULL;
  w->attempt = NULL;
  w->info = NULL;
  w->output = NULL;
  w->tree = NULL;
  return status;
}
