// What the engine answers while a script runs. Every answer is a block of its own that is freed when the attempt ends,
// so that a look beyond it, or after it, is seen.
#include <stdlib.h>
#include <string.h>
#include "drive.h"

typedef struct store { const char *name; int64_t version; } store;
static store stores[] = {{"s", 3}, {"k", 0}, {"x", 7}};

typedef struct stored { const char *key; const char *value; size_t length; } stored;
#define STORED(key, value) {key, value, sizeof value - 1}
static const stored content[] = {  // in order of their keys
  STORED("k", "\xa2\x61\x61\x01\x61\x62\x83\x01\x02\xf6"),
  STORED("list", "\x83\x01\x62hi\xfb\x3f\xb9\x99\x99\x99\x99\x99\x9a"),
  STORED("log", "\x65line\n"),
  STORED("n", "\x1b\x00\x00\x01\x00\x00\x00\x00\x00"),
  STORED("x", "\x18\x2a"),
  STORED("y/1", "\xa0"),
  STORED("y/2", "\x80"),
};
enum { CONTENT = sizeof content / sizeof *content };

typedef struct cursor { attempt *of; int at; size_t prefix_length; char prefix[]; } cursor;

static void *keep(attempt *a, const void *bytes, size_t length) {
  if (a->buffers_count == a->buffers_capacity) {
    a->buffers_capacity = a->buffers_capacity ? a->buffers_capacity * 2 : 64;
    a->buffers = realloc(a->buffers, a->buffers_capacity * sizeof *a->buffers);
    if (!a->buffers) abort();
  }
  void *copy = malloc(length ? length : 1);
  if (!copy) abort();
  memcpy(copy, bytes, length);
  a->held += length + 100;
  return a->buffers[a->buffers_count++] = copy;
}

static void *find_store(void *attempt, const char *name, size_t length, int *permanent, const char **refused) {
  if (!attempt) { *refused = "not now"; return NULL; }
  for (size_t i = 0; i < sizeof stores / sizeof *stores; i++) {
    if (strlen(stores[i].name) != length || memcmp(stores[i].name, name, length) != 0) continue;
    *permanent = i == 0;
    return &stores[i];
  }
  *refused = "there is none";
  return NULL;
}

static const uint8_t *get(void *attempt, void *of, const char *key, size_t key_length, size_t *length) {
  (void)of;
  for (int i = 0; i < CONTENT; i++) {
    if (strlen(content[i].key) != key_length || memcmp(content[i].key, key, key_length) != 0) continue;
    *length = content[i].length;
    return keep(attempt, content[i].value, content[i].length);
  }
  ((struct attempt *)attempt)->held += 100;
  return NULL;
}

static void *scan_begin(void *attempt, void *of, const char *prefix, size_t length) {
  (void)of;
  cursor *c = malloc(sizeof *c + length);
  if (!c) abort();
  *c = (cursor){attempt, 0, length};
  memcpy(c->prefix, prefix, length);
  void *kept = keep(attempt, c, sizeof *c + length);
  free(c);
  return kept;
}

static int scan_next(void *cursor_, const char **key, size_t *key_length, const uint8_t **value, size_t *value_length) {
  cursor *c = cursor_;
  for (; c->at < CONTENT; c->at++) {
    const stored *s = &content[c->at];
    if (strlen(s->key) < c->prefix_length || memcmp(s->key, c->prefix, c->prefix_length) != 0) continue;
    c->at++;
    *key_length = strlen(s->key);
    *key = keep(c->of, s->key, *key_length);
    *value_length = s->length;
    *value = keep(c->of, s->value, s->length);
    return 1;
  }
  return 0;
}

static int64_t count(void *attempt, void *of, const char *prefix, size_t length) {
  (void)of;
  int64_t found = 0;
  for (int i = 0; i < CONTENT; i++)
    found += strlen(content[i].key) >= length && memcmp(content[i].key, prefix, length) == 0;
  ((struct attempt *)attempt)->held += 100;
  return found;
}

static int64_t version(void *attempt, void *of) {
  (void)attempt;
  return ((store *)of)->version;
}

static void log_line(void *attempt, const char *level, const char *message, size_t length, const uint8_t *fields,
                     size_t fields_length, const char *where) {
  if (!attempt) return;
  struct attempt *a = attempt;
  text_say(&a->transcript, "%s %s: ", where, level);
  text_add(&a->transcript, message, length);
  text_add(&a->transcript, fields, fields_length);
  text_add(&a->transcript, "\n", 1);
  a->held += length + fields_length + 64;
}

static const char *source(void *context, const char *path, size_t *length) {
  const tree_files *files = context;
  for (size_t i = 0; i < files->count; i++) {
    if (strcmp(files->files[i].path, path) != 0) continue;
    *length = files->files[i].length;
    return files->files[i].text;
  }
  return NULL;
}

static void required(void *context, const char *from, const char *path) {
  (void)context;
  if (strlen(from) + strlen(path) == 0) abort();
}

const th_host drive_host = {find_store, get, scan_begin, scan_next, count, version, log_line, source, required, NULL};

void attempt_begin(attempt *a) {
  text_clear(&a->transcript);
  a->held = 0;
}

static void release(attempt *a) {
  for (size_t i = 0; i < a->buffers_count; i++) free(a->buffers[i]);
  a->buffers_count = 0;
}

// Its transcript is whole then: log lines, outcome, error, intents.
void attempt_finish(attempt *a, th_worker *w, int status, const th_output *output) {
  release(a);
  text *t = &a->transcript;
  text_say(t, "status %d\n", status);
  if (status != TH_OK) {
    size_t length;
    const char *error = th_worker_error(w, &length);
    text_add(t, error, length);
    return;
  }
  for (uint32_t i = 0; output && i < output->returned_length; i++) {
    const th_intent *intent = &output->intents[output->returned[i]];
    text_say(t, "\nintent %u %s %lld ", intent->kind, intent->store ? ((store *)intent->store)->name : "-",
             intent->kind == TH_REPLACE ? (long long)intent->base : 0);
    text_add(t, output->bytes + intent->key_offset, intent->key_length);
    text_add(t, "=", 1);
    text_add(t, output->bytes + intent->value_offset, intent->value_length);
  }
}

void attempt_free(attempt *a) {
  release(a);
  text_free(&a->transcript);
  free(a->buffers);
}
