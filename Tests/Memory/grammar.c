// Scripts over the allowed API. The grammar is data: each kind of phrase has templates, and a `$` with a letter in one
// stands for another phrase. When it gets deep, only the first templates of a kind are taken, which contain no others.
//
//   $e any value  $i integer  $n number  $s text  $t table  $f function  $o object with a metatable  $c coroutine
//   $v variable   $b block    $k key     $p pattern  $F format  $P format of pack  $d digit  $m metamethods
//   $# a number of its own for each phrase, for labels and for names that nobody assigns
#include <string.h>
#include "drive.h"

typedef struct kind { char letter; const char *const *phrases; size_t count, ends; } kind;
typedef struct writer { chance *c; text *to; unsigned numbers; } writer;

#define KIND(letter, phrases, ends) {letter, phrases, sizeof phrases / sizeof *phrases, ends}

static const char *const integers[] = {
  "0", "1", "2", "3", "-1", "7", "-128", "255", "256", "65535", "0x7fffffff", "math.maxinteger", "math.mininteger",
  "(1 << 53)", "#$t", "#$s", "($i + $i)", "($i * $i)", "($i // $d)", "($i % $d)", "($i ~ $i)", "($i << $d)",
  "($i >> $i)", "(~$i)", "(1 | ($i or $i))", "(math.tointeger($n) or $d)", "math.random($d)", "(utf8.len($s) or 0)",
  "select('#', ...)", "(($s):byte() or 0)", "math.abs($i)", "rawlen($t)", "select('#', table.unpack($t))",
  "($s):len()", "math.max($i, $i)", "(utf8.offset($s, $d) or 1)", "os.time()", "(string.find($s, $p) or 0)",
};
static const char *const numbers[] = {
  "0.5", "-0.0", "1e308", "1e-308", "2^53", "math.huge", "-math.huge", "(0/0)", "math.pi", "1e15", "$i", "($n / $n)",
  "($n * $n)", "($n ^ $d)", "($n % $n)", "math.floor($n)", "math.sqrt($n)", "math.fmod($n, $n)", "math.random()",
  "(tonumber($s) or $n)", "math.exp($n)", "(($n // $n))", "os.clock()", "ctx.time", "math.min($n, $n)",
};
static const char *const texts[] = {
  "''", "'a'", "'abc'", "'\\0'", "'\\xff\\xfe'", "'\xc3\xa4\xe2\x82\xac'", "'%'", "'a,b,c'", "'0x10'", "'1e5'",
  "('x'):rep(300)", "'__index'", "($s .. $s)", "($s .. $s .. $s)", "($s .. $n)", "($s):rep($d)", "($s):rep($d, $s)",
  "($s):sub($i, $i)", "($s):upper()", "($s):reverse()", "tostring($e)", "type($e)", "($s):format($e, $e)",
  "string.format($F, $e, $e, $e)", "string.pack($P, $e, $e)", "(($s):gsub($p, $s))", "(($s):gsub($p, $f))",
  "(($s):gsub($p, $t))", "(($s):match($p) or $s)", "table.concat($t, $s)", "utf8.char($d, 8364, 0x10ffff)",
  "os.date('%Y-%m-%d', $i)", "os.date('!%c')", "string.char($d, 200)", "debug.traceback($s)", "('$s'):gsub('a', '%0%0')",
  "string.format('%q', $e)", "string.format('%-20.3s|%5d|%g', $s, $i, $n)", "('a' .. 'b' .. $o)", "($o .. 'a' .. $o)",
  "coroutine.status($c)", "ctx.trigger", "(utf8.charpattern)", "table.concat($t, ',', $i, $i)",
};
static const char *const tables[] = {
  "{}", "{1, 2, 3}", "{nil, nil, 3}", "{1, nil, 3, nil}", "{x = 1}", "{1, x = 2}", "array{}", "T", "event",
  "{[1] = 1, [2] = 2, [4] = 4}", "{n = 3, 'a', 'b', 'c'}", "L", "{$e, $e}", "{$e, nil, $e}", "{[$k] = $e}", "{x = $e, y = $e}",
  "{[$e or 1] = $e}", "array{$e, $e}", "table.pack($e, $e)", "{table.unpack($t)}", "{...}", "$o", "{[$o] = 1}",
  "{[$f] = 1}", "table.move($t, 1, 3, 2, {})", "{[1.5] = $e, [true] = $e, [2^53] = $e}", "{($s):byte(1, -1)}",
  "{string.unpack($P, $s)}", "(getmetatable($o) or {})", "{$t, $t}", "os.date('*t', $i)", "({pcall($f, $e)})", "{[$o] = 1, [$o] = 2}",
};
static const char *const functions[] = {
  "print", "type", "tostring", "next", "rawget", "string.rep", "math.random", "select", "error", "pcall", "setmetatable",
  "F", "function(...) return ... end", "function(x, y, ...) $b return $e end", "function(x, ...) return $e end",
  "function(...) error($e) end", "coroutine.wrap(function(...) $b coroutine.yield($e) return $e end)",
  "function(x, y, ...) return x, y, ... end", "function(x, ...) if x then return x end $b end",
  "load($s)", "(load('return ' .. $s) or print)", "($s):gmatch($p)", "coroutine.yield", "function(a, b, ...) return a < b end",
};
static const char *const metamethods[] = {
  "__index = T", "__name = 'thing'", "__mode = 'k'", "__len = function() return 3 end", "__metatable = false",
  "__index = $t", "__index = function(t, k, ...) return $e end", "__newindex = function(t, k, v, ...) rawset(t, k, v) end",
  "__newindex = $t", "__call = function(self, ...) return $e end", "__concat = function(x, y, ...) return $s end",
  "__concat = function(x, y, ...) local function deep(n, ...) if n == 0 then return $s end return (deep(n - 1, n)) end return deep(60) end",
  "__eq = function(x, y, ...) return $e end", "__lt = function(x, y, ...) return $e end", "__le = function(...) return $e end",
  "__add = function(x, y, ...) return $e end", "__unm = function(...) return $e end", "__tostring = function(x, ...) return $s end",
  "__name = $e", "__pairs = function(t, ...) return next, $t end", "__close = function(x, y, ...) $b end",
  "__len = function(...) return $e end", "__idiv = function(...) return $e end", "__bor = function(...) return $i end",
};
static const char *const objects[] = {
  "O", "P", "setmetatable({}, {$m})", "setmetatable({}, {$m, $m})", "setmetatable($t, {$m, $m, $m})", "setmetatable({}, O)",
};
static const char *const coroutines[] = {
  "C", "coroutine.create(function(x, ...) coroutine.yield(x) end)", "coroutine.create(F)",
  "coroutine.create(function(x, ...) $b coroutine.yield($e) $b return $e end)", "coroutine.create($f)",
  "coroutine.create(function(x, ...) local c$# <close> = $o coroutine.yield(x) $b end)",
  "coroutine.create(function(...) pcall(function(...) $b coroutine.yield($e) $b end) return $e end)",
};
static const char *const values[] = {
  "nil", "true", "false", "null", "a", "b", "c", "d", "x", "$i", "$n", "$s", "$t", "$v", "$f", "$o", "$c", "$i", "$s",
  "($e == $e)", "($e and $e or $e)", "(not $e)", "$t[$k]", "$t[$e]", "($i < $i)", "($s < $s)", "-$n", "$v.x", "#$v",
  "s:get($k)", "s:count($s)", "s:keys()", "next($t)", "rawget($t, $e)", "select($i, $e, $e)", "tonumber($s, 10)", "$f($e)",
  "pcall($f, $e, $e)", "($v == $v)", "string.find($s, $p)", "string.match($s, $p, $i)", "table.remove($t)",
  "table.unpack($t)", "select(-1, $e, $e)", "($e ~= $e)", "math.type($e)", "rawequal($e, $e)", "coroutine.resume($c, $e)",
  "coroutine.running()", "coroutine.isyieldable()", "coroutine.close($c)", "xpcall($f, $f, $e)", "require('lib.m')",
  "string.unpack($P, $s)", "math.ult($i, $i)", "M.f($e)", "M.t", "ctx", "s", "ctx:store($k)", "($n <= $i)",
};
static const char *const keys[] = {"'x'", "'k'", "'y/1'", "'n'", "'long key with spaces'", "'list'"};
static const char *const patterns[] = {
  "'a'", "'.'", "'%w+'", "'(a)(b)'", "'^%s*(.-)%s*$'", "'%b()'", "'%f[%w]%w+'", "'[^,]*'", "'()'", "'(a*)%1'", "'[%z\\1-\\127]'",
  "'.-b'", "'[a-'", "'%'", "'(()'", "utf8.charpattern", "'a?a?a?a?aaaa'", "'[%a_][%w_]*'", "'$'", "'[]]'", "'%f'", "'(.)(.)(.)(.)(.)'",
};
static const char *const formats[] = {
  "'%d %s'", "'%5.2f|%-8s|%x'", "'%q'", "'%a %e %g'", "'%c%c'", "'%099d'", "'%.99f'", "'%i %u'", "'%%'", "'%'", "'%-#+ 05d'",
  "'%s %s %s %s'", "'%10.4s|'", "'%p'", "'%.20s%.3q'", "'%o%X%A'",
};
static const char *const packs[] = {
  "'i4'", "'<i8>I2'", "'z'", "'s1'", "'s4i'", "'!8 b i8'", "'d'", "'f n'", "'Xi4'", "'c5'", "'i16'", "'I3 I7'", "'=j T'", "'i0'",
  "'!3 i'", "'s16'", "'c0'", "'<d >d =f'", "'x x b'",
};
static const char *const digits[] = {"1", "2", "3", "4", "5", "8", "9"};
static const char *const variables[] = {"a", "b", "c", "d"};

static const char *const blocks[] = {"", "$S", "$S $S", "$S $S $S", "local $v = $e $S", "do $S end $S"};
static const char *const statements[] = {
  "a = 1 ", "print(a) ", "c = {} ", "b = 'b' ", "$v = $e ", "local $v = $e ", "local $v, $v = $e, $e ", "$v = $t ", "$v = $o ",
  "print($e, $e) ", "ctx:log('info', $e, {x = $e}) ", "warn('w', $s) ", "io.write($s, $s) ",
  "if $e then $b else $b end ", "for i = 1, $d do $b end ", "for i = $i, $i, $i do $b break end ", "for k, v in pairs($t) do $b end ",
  "for i, v in ipairs($t) do $b if i > 9 then break end end ", "for k in next, $t do $b end ", "local n$# = 0 while $e and n$# < 4 do n$# = n$# + 1 $b end ",
  "local n$# = 0 repeat n$# = n$# + 1 $b until $e or n$# > 3 ", "for i = 1, $d do if $e then goto next$# end $b ::next$#:: end ",
  "do local c$# <close> = $o $b end ", "pcall(function(...) $b end, $e) ", "pcall(function(...) local c$# <close> = $o local d$# <close> = $o error($e) end) ",
  "xpcall(function(...) $b error($e) end, function(m, ...) $b return $e end) ", "local k$# <const> = $i $v = k$# + $i ",
  "local function f$#(n, ...) if n <= 0 then return $e end $b return (f$#(n - 1, ...)) end $v = f$#($d, $e) ",
  "local function f$#(n, ...) if n <= 0 then return $i end return 1 + f$#(n - 1, ...) end $v = f$#($d * 20, $e, $e) ",
  "if type($v) == 'table' then $v.x = $e end ", "if type(a) == 'table' then a[$e or 1] = $e end ", "table.insert($t, $e) ", "pcall(table.insert, $t, $i, $e) ",
  "pcall(table.sort, $t, $f) ", "local t$# = {$e, $e, $e, $e} pcall(table.sort, t$#) $v = t$# ", "pcall(table.move, $t, $i, $i, $i) ", "$v = table.concat($t, $s) ",
  "for w in ($s):gmatch($p) do $b break end ", "for w in ($s):gmatch('.') do $b end ", "$v = coroutine.wrap(function(...) $b $v = coroutine.yield($e) $b end) ",
  "local co$# = $c for i = 1, $d do coroutine.resume(co$#, $e) end coroutine.close(co$#) ", "pcall(coroutine.wrap($f), $e) ",
  "coroutine.resume($c, $e) ", "coroutine.close($c) ", "out[#out + 1] = s:put($k, $e) ", "pcall(function(...) out[#out + 1] = s:put($k, $e) end) ", "out[#out + 1] = s:delete($k) ",
  "out[#out + 1] = s:add('n', $n) ", "out[#out + 1] = s:append('list', $e) ", "out[#out + 1] = s:append_text('log', $s) ", "pcall(function(...) out[#out + 1] = ctx:emit('e', $e) end) ",
  "out[#out + 1] = s:max('n', $i) ", "for k, v in s:scan($s, $i) do $b end ", "local seq$#, data$# = s:read_snapshot() out[#out + 1] = s:prepare_commit(seq$#, data$#) ",
  "pcall(function(...) local seq, data = s:read_snapshot() data.x = $e out[#out + 1] = s:prepare_commit(seq, data) end) ",
  "pcall(load('local a, b, c, d, s, out, ctx, event, T, O, P, F, C, L, M, x = ... ' .. $s .. ' return $e', '=l', 't', {print = print}), a, b) ",
  "local f$# = load('local a, b = ... $b return a', '@gen', 't', {a = 1, pcall = pcall, T = {}, O = {}}) if f$# then pcall(f$#, $e) end ",
  "setmetatable($t, {$m, $m}) ", "local m$# = {$m} local o$# = setmetatable({}, m$#) m$#.__mode = 'kv' o$#[{}] = $e $v = o$# ",
  "local m$# = {} local o$# = setmetatable({}, m$#) m$#.__close = function(...) $b end do local x <close> = o$# end $v = o$# ",
  "local m$# = {} $v = setmetatable({}, m$#) m$#.__name = $s m$#.__index = $f m$#.__gc = true ", "for i = 1, 30 do $v = {$v, ('x'):rep(100) .. i} end ",
  "local s$# = 'x' for i = 1, $d do s$# = s$# .. s$# .. $s end $v = #s$# ", "$v = {pcall(string.rep, $s, $i)} ", "error($e, $i) ", "math.randomseed($i) ", "$v = assert($e, $s) ",
  "local t$# = {} for i = 1, 40 do t$#[i * $d] = i end for i = 1, 40, $d do t$#[i] = nil end $v = #t$# + select('#', table.unpack(t$#, 1, 50)) ",
  "do local function deep(...) return 1 + deep(1, ...) end pcall(deep) end ", "T.x = $e ", "M.t.x = $e ", "rawset(L, 1, $e) ",
  "local t$# = {} for i = 1, 300 do t$#['k' .. i] = i end for k, v in pairs(t$#) do if v > 3 then t$#[k] = nil end end $v = next(t$#) ",
  "local t$# = {} for i = 1, $d do t$#[{i}] = i t$#[function() return i end] = -i t$#[coroutine.create(F)] = 'c' .. i end for k, v in pairs(t$#) do print(v) end ",
  "local t$# = {[T] = 'T', [O] = 'O', [P] = 'P', [F] = 'F', [L] = 'L', [{}] = 1, [$f] = 2, [$t] = 3, [C] = 4} for k, v in next, t$# do print(v) end ",
  "local t$# = {[M] = 'M', [M.t or 1] = 't', [M.f] = 'f', [T.x] = 'x', [$o] = 1, [{}] = 2} for k, v in pairs(t$#) do print(v) end ",
  "print(select('#', pcall($f, table.unpack($t)))) ", "s:get($k) ", "$v = ($v == nil) and $e or $v ", "return out ", "goto done$# do $b end ::done$#:: ",
};

static const kind kinds[] = {
  KIND('i', integers, 14), KIND('n', numbers, 10), KIND('s', texts, 12), KIND('t', tables, 12), KIND('f', functions, 13),
  KIND('m', metamethods, 5), KIND('o', objects, 2), KIND('c', coroutines, 3), KIND('e', values, 9), KIND('k', keys, 6),
  KIND('p', patterns, sizeof patterns / sizeof *patterns), KIND('F', formats, sizeof formats / sizeof *formats),
  KIND('P', packs, sizeof packs / sizeof *packs), KIND('d', digits, 7), KIND('v', variables, 4), KIND('b', blocks, 1),
  KIND('S', statements, 4),
};

static void write_kind(writer *w, char letter, int depth);

static void write_phrase(writer *w, const char *phrase, int depth) {
  unsigned own = w->numbers++;
  for (const char *mark; (mark = strchr(phrase, '$')); phrase = mark + 2) {
    text_add(w->to, phrase, (size_t)(mark - phrase));
    if (mark[1] == '#') text_say(w->to, "%u", own);
    else write_kind(w, mark[1], depth - 1);
  }
  text_add(w->to, phrase, strlen(phrase));
}

static void write_kind(writer *w, char letter, int depth) {
  const kind *k = kinds;
  while (k->letter != letter) {
    if (++k == kinds + sizeof kinds / sizeof *kinds) { text_say(w->to, "$%c", letter); return; }  // of a pattern
  }
  size_t ends = k->ends < k->count ? k->ends : k->count;
  int is_short = depth <= 0 || (depth < 4 && chance_one_in(w->c, 3)) || w->to->length > 12000;
  write_phrase(w, k->phrases[chance_below(w->c, (uint32_t)(is_short ? ends : k->count))], depth);
}

// What every function of a script sees.
static const char names[] =
  "local T = {1, nil, 3, x = {1, 2, 3}, [5] = 'five'} local L = {nil, nil, 'c', nil, 'e', nil}\n"
  "local O = setmetatable({}, {__index = T, __concat = function(x, y) return 'o' end, __tostring = function() return 'O' end})\n"
  "local P = setmetatable({1, 2}, {__index = O, __call = function(self, ...) return ... end, __len = function() return 5 end})\n"
  "local function F(x, ...) return x, ... end\n";

static void write_constants(writer *w) {
  text_say(w->to, "local K = {");
  for (uint32_t i = 0, n = chance_below(w->c, 400); i < n; i++)
    text_say(w->to, chance_one_in(w->c, 3) ? "'k%u'," : chance_one_in(w->c, 2) ? "%u.5," : "%u,", i * 77);
  text_say(w->to, "}\n");
}

void grammar_module(chance *c, text *module) {
  writer w = {c, module, 0};
  text_say(module, "local M, C = {}, nil local a, b, c, d, x, s, ctx, event, out = ...\n%s", names);
  text_say(module, "M.t = ");
  write_kind(&w, 't', 3);
  text_say(module, "\nfunction M.f(...) ");
  write_kind(&w, 'b', 4);
  text_say(module, " return ... end\n");
  if (chance_one_in(c, 2)) {
    text_say(module, "pcall(function(...) ");
    write_kind(&w, 'b', 3);
    text_say(module, " end)\n");
  }
  text_say(module, "return M\n");
}

void grammar_script(chance *c, text *script) {
  writer w = {c, script, 0};
  text_say(script, "%slocal M = {t = {1, nil, 3}, f = F}\n", names);
  if (chance_one_in(c, 4)) text_say(script, "M = require 'lib.m'\n");
  if (chance_one_in(c, 3)) write_constants(&w);
  if (chance_one_in(c, 3)) {
    text_say(script, "local a, b, c, d, x, s, ctx, event, out, C = 1, 'b', {}, 2.5\npcall(function(...) ");
    write_kind(&w, 'b', 3);
    text_say(script, " end)\n");
  }
  text_say(script, "return { on = {event = 'x'}, execute = function(event, ctx, ...)\n"
                   "local s, out, C = ctx:store('s'), {}, coroutine.create(function(...) coroutine.yield(1) return 2 end)\n"
                   "local a, b, c, d, x = 1, 'b', {1, 2}, 2.5, nil\n");
  for (uint32_t i = 0, n = 2 + chance_below(c, 8); i < n; i++) {
    int is_protected = !chance_one_in(c, 6);
    if (is_protected) text_say(script, "print(pcall(function(...) ");
    write_kind(&w, 'S', 2 + (int)chance_below(c, 4));
    if (is_protected) text_say(script, " end))");
    text_say(script, "\n");
  }
  text_say(script, "print(a, b, c, d) do return out end\nend }\n");
}
