// The hostile scripts: Tests/HostileScripts/*.lua, which the Swift tests read too. Its README says how they look.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "drive.h"

static char *read_file(const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f) return NULL;
  text t = {0};
  char part[4096];
  for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;) text_add(&t, part, n);
  fclose(f);
  if (!t.bytes) text_add(&t, "", 0);
  return t.bytes;
}

static hostile *add(corpus *all) {
  all->scripts = realloc(all->scripts, (all->count + 1) * sizeof *all->scripts);
  if (!all->scripts) abort();
  all->scripts[all->count] = (hostile){.memory = 16u << 20};
  return &all->scripts[all->count++];
}

static void add_line(char **to, const char *line, size_t length, char end) {
  size_t before = *to ? strlen(*to) : 0;
  *to = realloc(*to, before + length + 2);
  if (!*to) abort();
  memcpy(*to + before, line, length);
  (*to)[before + length] = end;
  (*to)[before + length + 1] = 0;
}

// Lines of one file: `--- name` begins a script, `-- word: value` says something of it, the rest is its body.
static void read_scripts(corpus *all, const char *content) {
  hostile *script = NULL;
  int in_body = 0;
  for (const char *line = content, *end; *line; line = end + (*end == '\n')) {
    end = line + strcspn(line, "\n");
    size_t length = (size_t)(end - line);
    if (strncmp(line, "--- ", 4) == 0) {
      script = add(all);
      script->name = strndup(line + 4, length - 4);
      in_body = 0;
    } else if (script && !in_body && strncmp(line, "-- ", 3) == 0) {
      if (strncmp(line, "-- head: ", 9) == 0) add_line(&script->head, line + 9, length - 9, ' ');
      if (strncmp(line, "-- memory: ", 11) == 0) script->memory = (size_t)atol(line + 11) << 20;
      if (strncmp(line, "-- endless", 10) == 0) script->is_endless = 1;
    } else if (script) {
      in_body = 1;
      add_line(&script->body, line, length, '\n');
    }
  }
}

int corpus_read(corpus *all, const char *directory) {
  struct dirent **entries;
  int count = scandir(directory, &entries, NULL, alphasort);
  for (int i = 0; i < count; i++) {
    size_t length = strlen(entries[i]->d_name);
    if (length > 4 && strcmp(entries[i]->d_name + length - 4, ".lua") == 0) {
      char path[4096];
      snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
      char *content = read_file(path);
      if (content) read_scripts(all, content);
      free(content);
    }
    free(entries[i]);
  }
  if (count >= 0) free(entries);
  return all->count > 0;
}

void corpus_free(corpus *all) {
  for (size_t i = 0; i < all->count; i++) {
    free(all->scripts[i].name);
    free(all->scripts[i].head);
    free(all->scripts[i].body);
  }
  free(all->scripts);
}

void corpus_source(const hostile *script, text *source) {
  const char *parts[] = {script->head ? script->head : "", " return { on = { event = 'x' }, execute = function(event, ctx)\n",
                         script->body ? script->body : "", "end }\n"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) text_add(source, parts[i], strlen(parts[i]));
}
