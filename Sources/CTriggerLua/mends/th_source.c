// Compiling source text in bounded time.
//
// Lua's parser runs without a hook, and some of its steps look at all that came before in a function: a name is compared
// with the local variables of every function around it, a jump with the jumps that still wait for their target, the end
// of a chain of `or` or `elseif` is found by walking the chain. So
//   - a scan over the text counts what those steps look at, and refuses what no script has. It knows words, texts,
//     comments and which `end` ends a function; it takes time in proportion to the text, and no memory.
//   - the parser gets the text in small pieces, and between two of them an attempt can end.
// What remains, a table of constants that fall together, is seen where the table grows (th_growth.c).
#include <ctype.h>
#include <string.h>
#include "mends/th_mends.h"

enum {
  SOURCE_MOST = 4 << 20,     // bytes
  JUMPS_MOST = 10000,        // of one function: break, goto, labels, elseif
  CHAINED_MOST = 50000,      // of one function: and, or
  LOOKED_AT_MOST = 500,      // million local variables that all names of the text are compared with
  LOCALS_MOST = 200,         // Lua's own: active local variables of a function
  BLOCKS_MOST = 200,         // Lua's own: nested calls of the parser
  PIECE = 128,               // bytes
};

// --- the scan

// One open function: its names declared so far, and its jumps.
typedef struct level { uint32_t locals, jumps, chained; } level;

typedef struct scan {
  const char *at, *end;
  int line;
  const char *refused;            // why, at `line`
  uint64_t looked_at;
  uint32_t visible;               // local variables of all open functions
  int declares;                   // names that follow `local` or `for`, or are parameters
  int functions, blocks;
  level levels[BLOCKS_MOST + 1];
  uint8_t is_function[BLOCKS_MOST + 1];
} scan;

static void skip_lines(scan *s, const char *to) {
  while (s->at < to) if (*s->at++ == '\n') s->line++;
}

// The length of an opening long bracket at `at`, with its signs; 0 when there is none.
static size_t long_bracket(const scan *s, const char *at) {
  const char *c = at;
  if (c >= s->end || *c++ != '[') return 0;
  while (c < s->end && *c == '=') c++;
  return c < s->end && *c == '[' ? (size_t)(c - at) + 1 : 0;
}

static void skip_long(scan *s, const char *open, size_t length) {
  const char *c = open + length;
  for (; (c = memchr(c, ']', (size_t)(s->end - c))) != NULL; c++) {
    const char *last = c + length - 1;
    if (last < s->end && *last == ']' && (length == 2 || memcmp(c + 1, open + 1, length - 2) == 0)) {
      skip_lines(s, last + 1);
      return;
    }
  }
  skip_lines(s, s->end);
}

static void skip_text(scan *s) {
  char quote = *s->at;
  const char *c = s->at + 1;
  for (; c < s->end && *c != quote && *c != '\n'; c++) if (*c == '\\' && c + 1 < s->end) c++;
  skip_lines(s, c < s->end ? c + 1 : c);
}

static void skip_comment(scan *s) {
  size_t length = long_bracket(s, s->at + 2);
  if (length) { skip_long(s, s->at + 2, length); return; }
  const char *c = memchr(s->at, '\n', (size_t)(s->end - s->at));
  s->at = c ? c : s->end;
}

static int is_word(const char *text, size_t length, const char *word) {
  return strlen(word) == length && memcmp(text, word, length) == 0;
}

static void open_block(scan *s, int is_function) {
  if (s->blocks == BLOCKS_MOST) return;  // Lua refuses it
  s->is_function[++s->blocks] = (uint8_t)is_function;
  if (is_function) s->levels[++s->functions] = (level){0, 0, 0};
}

static void close_block(scan *s) {
  if (s->blocks == 0) return;  // not Lua
  if (s->is_function[s->blocks--]) s->visible -= s->levels[s->functions--].locals;
}

static void jump(scan *s) {
  if (++s->levels[s->functions].jumps > JUMPS_MOST)
    s->refused = "a function has more than 10000 of break, goto, labels and elseif";
}

static void declare(scan *s) {
  level *l = &s->levels[s->functions];
  if (l->locals < LOCALS_MOST) { l->locals++; s->visible++; }
}

static void name(scan *s) {
  if (s->declares) declare(s);
  s->looked_at += s->visible;
  if (s->looked_at > LOOKED_AT_MOST * 1000000ull)
    s->refused = "too many names are looked for among too many local variables of the functions around them";
}

// Reserved words come first by what they do here; the others are only no names.
static void word(scan *s, const char *text, size_t length) {
  static const char *const others[] = {
    "else", "false", "in", "nil", "not", "repeat", "return", "then", "true", "until", "while", NULL};
  int declares = s->declares;
  s->declares = 0;
  if (is_word(text, length, "function")) {
    if (declares) declare(s);  // local function
    open_block(s, 1);
    s->declares = 1;
    return;
  }
  if (is_word(text, length, "local") || is_word(text, length, "for")) { s->declares = 1; return; }
  if (is_word(text, length, "do") || is_word(text, length, "if")) { open_block(s, 0); return; }
  if (is_word(text, length, "end")) { close_block(s); return; }
  if (is_word(text, length, "break") || is_word(text, length, "goto") || is_word(text, length, "elseif")) { jump(s); return; }
  if (is_word(text, length, "and") || is_word(text, length, "or")) {
    if (++s->levels[s->functions].chained > CHAINED_MOST) s->refused = "a function has more than 50000 of and and or";
    return;
  }
  for (const char *const *other = others; *other; other++) if (is_word(text, length, *other)) return;
  s->declares = declares;
  name(s);
}

static int in_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static void token(scan *s) {
  const char *start = s->at, *c = start;
  size_t length;
  if (in_word(*c)) {
    int is_number = isdigit((unsigned char)*c);
    while (c < s->end && (in_word(*c) || (is_number && *c == '.'))) c++;
    s->at = c;
    if (!is_number) word(s, start, (size_t)(c - start));
  } else if (*c == '"' || *c == '\'') {
    skip_text(s);
  } else if (*c == '-' && c + 1 < s->end && c[1] == '-') {
    skip_comment(s);
  } else if (*c == '[' && (length = long_bracket(s, c)) != 0) {
    skip_long(s, c, length);
  } else {
    if (*c == ':' && c + 1 < s->end && c[1] == ':') { jump(s); s->at++; }  // opens or closes a label
    // A list of declared names goes on over commas, attributes and the parenthesis of parameters.
    if (*c == '=' || *c == ')' || *c == ';') s->declares = 0;
    skip_lines(s, s->at + 1);
  }
}

// Returns why the text is refused, and in which line; NULL when it may be compiled.
static const char *refusal(lua_State *L, const char *text, size_t length, int *line) {
  scan s = {.at = text, .end = text + length, .line = 1};
  *line = 1;
  if (length > SOURCE_MOST) return "a source is larger than 4 MiB: keep data in a store or a file, not in Lua text";
  for (unsigned steps = 0; s.at < s.end && !s.refused; steps++) {
    if (steps % 1024 == 0) th_check(L);
    token(&s);
  }
  *line = s.line;
  return s.refused;
}

// --- the parser

typedef struct pieces { const char *at, *end; } pieces;

static const char *next_piece(lua_State *L, void *from, size_t *length) {
  pieces *p = from;
  const char *at = p->at;
  th_check(L);
  *length = (size_t)(p->end - at) < PIECE ? (size_t)(p->end - at) : PIECE;
  p->at += *length;
  return *length ? at : NULL;
}

// Pushes "place:line: why", with the place as Lua shows it.
static void push_refusal(lua_State *L, const char *chunk, int line, const char *why) {
  TH_EFFECT(L, 1);
  lua_Debug ar;
  if (luaL_loadbufferx(L, "", 0, chunk, "t") != LUA_OK) lua_error(L);
  lua_getinfo(L, ">S", &ar);
  lua_pushfstring(L, "%s:%d: %s", ar.short_src, line, why);
}

int th_load_text(lua_State *L, const char *text, size_t length, const char *chunk) {
  TH_EFFECT(L, 1);
  int line;
  const char *why = refusal(L, text, length, &line);
  if (why) { push_refusal(L, chunk, line, why); return LUA_ERRSYNTAX; }
  pieces p = {text, text + length};
  int status = lua_load(L, next_piece, &p, chunk, "t");
  if (status != LUA_OK) th_note_source(L, chunk);
  th_check(L);
  return status;
}
