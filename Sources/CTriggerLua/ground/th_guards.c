// Which libraries are linked, and what in Lua's has to be guarded against.
//
// A guard is on where the version is known to need it: the table in Security.md says what each is for. What finds its
// way by how this Lua lays out its structures looks first whether that is so (th_fitting.c); where it is not, the worker
// is not made, since going on would be going on unguarded.
#include <stdio.h>
#include <string.h>
#include "ground/th_ground.h"

typedef struct guard { int bit; int from, last; const char *name; } guard;

// Releases of 5.4 that have the defect.
static const guard guards[] = {
  {TH_GUARD_STACKS, 4, 4, "stacks"},
  {TH_GUARD_HANDLER, 0, 8, "handlers"},
  {TH_GUARD_CODE, 0, 8, "code"},
  {TH_GUARD_NAMES, 0, 6, "names"},
};

// lua_ident is the library's own: "$LuaVersion: Lua 5.4.4  Copyright (C) ...".
const char *th_lua_release(void) {
  static char release[32];
  const char *start = strstr(lua_ident, "Lua 5");
  size_t length = start ? strcspn(start + 4, " ") + 4 : 0;
  if (length >= sizeof release) length = sizeof release - 1;
  if (!release[0] && start) memcpy(release, start, length);
  return release;
}

#include <gnu/libc-version.h>
const char *th_libc_release(void) { return gnu_get_libc_version(); }

// What is unknown counts as old.
static int release_number(void) {
  int number = 0;
  return sscanf(th_lua_release(), "Lua 5.4.%d", &number) == 1 ? number : 0;
}

int th_guards(void) {
  int number = release_number(), on = 0;
  for (size_t i = 0; i < sizeof guards / sizeof *guards; i++)
    if (number >= guards[i].from && number <= guards[i].last) on |= guards[i].bit;
  return on;
}

int th_guard_names(char *text, size_t room) {
  int on = th_guards(), length = 0;
  if (room) *text = 0;
  for (size_t i = 0; i < sizeof guards / sizeof *guards; i++)
    if (on & guards[i].bit && (size_t)length < room)
      length += snprintf(text + length, room - (size_t)length, "%s%s", length ? ", " : "", guards[i].name);
  return length;
}

const char *th_guard_name(int bit) {
  for (size_t i = 0; i < sizeof guards / sizeof *guards; i++) if (guards[i].bit == bit) return guards[i].name;
  return NULL;
}
