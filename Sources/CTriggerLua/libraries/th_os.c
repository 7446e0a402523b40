// os.time, os.date, os.clock, os.difftime. The clock is the operation's admission time and the zone is UTC, so an
// operation that runs again sees the same.
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "libraries/th_libraries.h"

enum { DAY = 86400 };
// 0000-01-01T00:00:00Z and 9999-12-31T23:59:59Z
static const lua_Integer first_second = -62167219200, last_second = 253402300799;

static lua_Integer floor_divide(lua_Integer a, lua_Integer b) { return a / b - (a % b < 0); }

// Days since 1970-01-01 of a civil date; the month may be any number. Years count from March here, so that the
// leap day is the last one.
static lua_Integer days_of(lua_Integer year, lua_Integer month, lua_Integer day) {
  year += floor_divide(month - 1, 12);
  month = month - 1 - floor_divide(month - 1, 12) * 12;  // 0..11
  year -= month < 2;
  lua_Integer era = floor_divide(year, 400), of_era = year - era * 400;
  lua_Integer of_year = (153 * ((month + 10) % 12) + 2) / 5;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year + day - 1 - 719468;
}

static struct tm civil(lua_Integer seconds) {
  lua_Integer days = floor_divide(seconds, DAY), rest = seconds - days * DAY;
  lua_Integer z = days + 719468, era = floor_divide(z, 146097), of_era = z - era * 146097;
  lua_Integer year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  lua_Integer of_year = of_era - (365 * year + year / 4 - year / 100);
  lua_Integer month = (5 * of_year + 2) / 153;
  struct tm t = {0};
  t.tm_mday = (int)(of_year - (153 * month + 2) / 5 + 1);
  t.tm_mon = (int)((month + 2) % 12);
  t.tm_year = (int)(year + era * 400 + (t.tm_mon < 2) - 1900);
  t.tm_yday = (int)(days - days_of(t.tm_year + 1900, 1, 1));
  t.tm_wday = (int)(((days + 4) % 7 + 7) % 7);
  t.tm_hour = (int)(rest / 3600);
  t.tm_min = (int)(rest / 60 % 60);
  t.tm_sec = (int)(rest % 60);
  return t;
}

static lua_Integer now(lua_State *L) {
  th_worker_of(L)->looked = 1;
  return floor_divide(th_worker_of(L)->clock_ns, 1000000000);
}

static void check_range(lua_State *L, lua_Integer seconds) {
  if (seconds < first_second || seconds > last_second)
    luaL_error(L, "date out of range: only years 0 to 9999 are supported");
}

static void set_field(lua_State *L, const char *name, int value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

// Sets the fields of the table on top.
static void set_fields(lua_State *L, const struct tm *t) {
  TH_EFFECT(L, 0);
  set_field(L, "year", t->tm_year + 1900);
  set_field(L, "month", t->tm_mon + 1);
  set_field(L, "day", t->tm_mday);
  set_field(L, "hour", t->tm_hour);
  set_field(L, "min", t->tm_min);
  set_field(L, "sec", t->tm_sec);
  set_field(L, "yday", t->tm_yday + 1);
  set_field(L, "wday", t->tm_wday + 1);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "isdst");
}

// absent < 0: the field must be there.
static lua_Integer field(lua_State *L, const char *name, lua_Integer absent) {
  TH_EFFECT(L, 0);
  int type = lua_getfield(L, 1, name), exact;
  lua_Integer n = lua_tointegerx(L, -1, &exact);
  if (!exact) {
    if (type != LUA_TNIL) return luaL_error(L, "field '%s' is not an integer", name);
    if (absent < 0) return luaL_error(L, "field '%s' missing in date table", name);
    n = absent;
  } else if (n < INT32_MIN || n > INT32_MAX) {
    return luaL_error(L, "field '%s' is out-of-bound", name);
  }
  lua_pop(L, 1);
  return n;
}

static int os_time(lua_State *L) {
  if (lua_isnoneornil(L, 1)) {
    lua_pushinteger(L, now(L));
    return 1;
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_Integer year = field(L, "year", -1), month = field(L, "month", -1), day = field(L, "day", -1);
  lua_Integer hour = field(L, "hour", 12), minute = field(L, "min", 0), second = field(L, "sec", 0);
  lua_Integer seconds = days_of(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
  check_range(L, seconds);
  struct tm t = civil(seconds);
  if (th_frozen_content(L, 1)) lua_pop(L, 1);  // not worth running the chunk anew
  else set_fields(L, &t);
  lua_pushinteger(L, seconds);
  return 1;
}

// The length of a conversion of C99's strftime that starts at s (after '%'), 0 if it is none.
static int conversion(const char *s, const char *end) {
  if (s < end && *s && strchr("aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%", *s)) return 1;
  if (end - s < 2 || !s[1]) return 0;
  if (*s == 'E') return strchr("cCxXyY", s[1]) ? 2 : 0;
  if (*s == 'O') return strchr("deHImMSuUVwWy", s[1]) ? 2 : 0;
  return 0;
}

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wformat-nonliteral"

static void add_conversion(luaL_Buffer *b, const char *s, int n, const struct tm *t) {
  char format[4] = {'%'}, text[128];
  memcpy(format + 1, s, (size_t)n);
  if (n == 1 && *s == 'Z') luaL_addstring(b, "UTC");
  else luaL_addlstring(b, text, strftime(text, sizeof text, format, t));  // C locale
}

#pragma clang diagnostic pop

// A time as ctx.time gives it has a fraction; what it shows is the second that it is in.
static lua_Integer whole_seconds(lua_State *L, int index) {
  TH_EFFECT(L, 0);
  int is_whole;
  lua_Integer seconds = lua_tointegerx(L, index, &is_whole);
  if (is_whole) return seconds;
  lua_Number given = floor(luaL_checknumber(L, index));
  // NaN is in no range either.
  if (!(given >= (lua_Number)first_second && given <= (lua_Number)last_second)) check_range(L, LUA_MAXINTEGER);
  return (lua_Integer)given;
}

static int os_date(lua_State *L) {
  size_t n;
  const char *s = luaL_optlstring(L, 1, "%c", &n), *end = s + n;
  lua_Integer seconds = lua_isnoneornil(L, 2) ? now(L) : whole_seconds(L, 2);
  check_range(L, seconds);
  struct tm t = civil(seconds);
  if (*s == '!') s++;
  if (strcmp(s, "*t") == 0) {
    lua_createtable(L, 0, 9);
    set_fields(L, &t);
    return 1;
  }
  luaL_Buffer b;
  unsigned steps = 0;
  luaL_buffinit(L, &b);
  for (; s < end; s++) {
    th_step(L, steps, 1);
    if (*s != '%') { luaL_addchar(&b, *s); continue; }
    int length = conversion(s + 1, end);
    if (!length) luaL_argerror(L, 1, lua_pushfstring(L, "invalid conversion specifier '%%%c'", s + 1 < end ? s[1] : ' '));
    add_conversion(&b, s + 1, length, &t);
    s += length;
  }
  luaL_pushresult(&b);
  return 1;
}

static int os_clock(lua_State *L) {
  lua_pushnumber(L, 0);  // time used would differ from run to run
  return 1;
}

static int os_difftime(lua_State *L) {
  lua_pushnumber(L, luaL_checknumber(L, 1) - luaL_checknumber(L, 2));
  return 1;
}

void th_open_os(lua_State *L) {
  TH_EFFECT(L, 0);
  static const luaL_Reg functions[] = {
    {"clock", os_clock}, {"date", os_date}, {"difftime", os_difftime}, {"time", os_time}, {NULL, NULL},
  };
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "os");
}
