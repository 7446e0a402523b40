"""Hostile scripts: none ends the host, holds up its neighbours, or goes on for ever."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

from .process import Host, outcome_of, project, state, tool, verify
from .rounds import Round, check

# Bodies of `execute(event, ctx)`, by kind. What becomes of one is its own affair; that the host lives is not.
MEMORY = {
    "names that are no text": """
      local t = setmetatable({}, { __name = 5 })
      print(string.format("%s%s%s", ("x"):rep(5000), t, ("y"):rep(500000)))
      for i = 1, 300 do print(t, t, t) end""",
    "cut inside one long run of bytes": 'print(("\\x80"):rep(70000)) print(("\\xe2\\x82"):rep(40000))',
    "require that fails in a coroutine": """
      for i = 1, 50 do
        local co = coroutine.create(function() require("broken_module") end)
        coroutine.resume(co) coroutine.close(co) print(i)
      end""",
    "concatenation that moves the stack": """
      local function grow(n) if n == 0 then return 0 end return 1 + grow(n - 1) end
      local m = {} m.__concat = function(a, b) grow(20000) return "owe" end
      local s = "you " .. 42 .. " " .. setmetatable({}, m)
      return { ctx:store("h"):put("concat", s) }""",
    "handler of a closed coroutine": """
      for i = 1, 200 do
        local co = coroutine.create(function() xpcall(function() coroutine.yield() end, function() return 1 end) end)
        coroutine.resume(co) coroutine.close(co)
        pcall(error, {})
      end""",
    "weak set later": """
      local m = {} local t = setmetatable({}, m) m.__mode = "kv"
      for i = 1, 200000 do t[{}] = {} end
      local n = 0 for _ in pairs(setmetatable({ {} }, m)) do n = n + 1 end""",
    "sixty thousand fields": 'local s = "x" for i = 1, 12 do s = s .. "." .. s:gsub("%.", "y") end load("return " .. ("a."):rep(60000) .. "b")()',
    "gc set later": "local m = {} local t = setmetatable({}, m) m.__gc = function() while true do end end t = nil collectgarbage = nil",
    "every conversion of format": """
      for _, f in ipairs { "%5.3s", "%-99d", "%+.99f", "%a", "%i", "%q", "%c", "%%", "%#x", "%099.99g", "%1000d", "%.100f" } do
        for _, v in ipairs { 0, -1, 2^63, 1/0, -1/0, 0/0, math.mininteger, "x", {} } do pcall(string.format, f, v) end
      end""",
    "pack and unpack": """
      for _, f in ipairs { "i16", "<i17", "s8", "z", "!16i8Xi16", "c1000000000", ">s1", "j", "n", " < > = ! " } do
        pcall(string.pack, f, math.mininteger) pcall(string.unpack, f, ("\\xff"):rep(64)) pcall(string.packsize, f)
        pcall(string.unpack, f, "", 1 << 62) pcall(string.unpack, f, "x", -(1 << 62))
      end""",
    "positions beyond all": """
      local far = { 0, -1, 1 << 62, math.mininteger, math.maxinteger }
      for _, a in ipairs(far) do for _, b in ipairs(far) do
        pcall(string.sub, "abc", a, b) pcall(string.byte, "abc", a, b) pcall(string.find, "abc", "b", a)
        pcall(table.concat, {}, ",", a, b) pcall(table.unpack, {}, a, b) pcall(table.move, {}, a, b, a)
        pcall(utf8.codepoint, "abc", a, b) pcall(utf8.offset, "abc", a, b) pcall(utf8.len, "abc", a, b)
        pcall(select, a, 1, 2) pcall(table.insert, {}, a, 1) pcall(table.remove, {}, a) pcall(math.random, a, b)
      end end""",
}

TIME = {
    "close in close": """
      local function forever() while true do end end
      local m = { __close = function() local x <close> = setmetatable({}, { __close = forever }) error("again") end }
      local co = coroutine.create(function() local x <close> = setmetatable({}, m) coroutine.yield() end)
      coroutine.resume(co)
      local y <close> = setmetatable({}, { __close = function() coroutine.close(co) end })
      error("first")""",
    "wrap that is closed by an error": """
      local f = coroutine.wrap(function()
        local x <close> = setmetatable({}, { __close = function() while true do end end }) error("x") end)
      pcall(f) f()""",
    "keys that collide in the next size": "local t = {} local m = (1 << 18) - 1 for i = 1, 131072 do t[i * m] = i end t[3] = 1",
    "keys that collide as floats": "local t = {} for i = 1, 200000 do t[i * 2.0 ^ 40 + 0.5] = i end t.x = 1",
    "a source of constants": """
      local names = {} for i = 1, 190 do names[i] = "a" .. i .. " <const> = " .. i end
      local s = "" for i = 1, 190 do s = s .. "local " .. names[i] .. "\\n" end
      for i = 1, 60 do s = s .. "local function f" .. i .. "()\\n" end
      s = s .. "return " .. ("a1+a2+a3+"):rep(100000) .. "1" load(s)""",
    "a source of a megabyte of brackets": 'load("return " .. ("(("):rep(500000)) load(("do "):rep(300000)) load("x=" .. ("{"):rep(900000))',
    "a pattern that searches": 'string.find(("a"):rep(40), ("a?"):rep(40) .. ("a"):rep(40))',
    "prints without end": 'while true do print(("line "):rep(1000)) end',
    "prints bytes without end": 'while true do print(("\\xff\\27[2J"):rep(10000)) end',
    "errors without end": 'while true do pcall(error, ("e"):rep(100000)) end',
    "sort that lies": "local t = {} for i = 1, 50000 do t[i] = i end while true do pcall(table.sort, t, function(a, b) return a ~= b end) end",
    "deep stack in a loop": "local function f(n) if n == 0 then while true do end end return 1 + f(n - 1) end f(180000)",
    "coroutines that resume each other": """
      local function chain(n) return coroutine.wrap(function() if n > 0 then chain(n - 1)() end while true do end end) end
      chain(150)()""",
    "gsub of all into all": 'local s = ("x"):rep(1000) while true do s = s:gsub("x", "xx") end',
    "concat of huge": "local t = {} for i = 1, 1e6 do t[i] = 'xxxxxxxxxxxxxxxx' end while true do table.concat(t) end",
    "mult of strings": 'local s = ("9"):rep(1000000) while true do local n = tonumber(s) s = s .. "" end',
}

COMMIT = {
    "ten thousand appends to one key": "local s, t = ctx:store('h'), {} for i = 1, 9000 do t[i] = s:append('list', i) end return t",
    "ten thousand appends of text": "local s, t = ctx:store('h'), {} for i = 1, 9000 do t[i] = s:append_text('text', 'word ') end return t",
    "ten thousand counts of one key": "local s, t = ctx:store('h'), {} for i = 1, 9000 do t[i] = s:add('n', 1) end return t",
    "put and append in turn": "local s, t = ctx:store('h'), {} for i = 1, 4000 do t[#t+1] = s:put('p', { i }) t[#t+1] = s:append('p', i) end return t",
    "stores without end": "for i = 1, 1e6 do ctx:store('name ' .. i) end",
    "stores that come to be": "local t = {} for i = 1, 500 do t[i] = ctx:store('n' .. event.n .. '/' .. i):put('k', 1) end return t",
    "a long list in a list": "local t = {} for i = 1, 50000 do t[i] = { { i } } end return { ctx:store('h'):put('deep', t) }",
    "a thousand emits nobody takes": "local t = {} for i = 1, 999 do t[i] = ctx:emit('nobody/' .. i, { i }) end return t",
    "keys with long beginnings": "local s, t = ctx:store('h'), {} local p = ('p'):rep(1000) for i = 1, 3000 do t[i] = s:put(p .. i, i) end return t",
    "two keys that look alike": 'local s = ctx:store("h") return { s:put("caf\\xc3\\xa9", 1), s:put("cafe\\xcc\\x81", 2) }',
    "escapes in what is kept": 'return { ctx:store("h"):put("\\27[2J", "\\27]0;x\\7"), ctx:emit("\\27[31mred", { ["\\r"] = "\\0" }) }',
    "an error that looks like the host": 'error("x\\n[other 9.9] error: forged\\27[2J", 0)',
    "a place that is forged": 'load("error(\\"x\\")", "@healthy.lua")()',
}

# Whole files: what goes wrong while they are loaded, or in what they say of themselves.
FILES = {
    "limits beyond the host's": 'return { on = { event = "hostile" }, timeout = "100h", memory = "1000gb", priority = "critical", execute = function() while true do end end }',
    "a binding of four hundred stars": 'return { on = { commit = "h/" .. ("*a"):rep(400) }, execute = function() end }',
    "a loop while it loads": "while true do end",
    "memory while it loads": 'local s = "x" while true do s = s .. s end',
    "gc armed by loading": 'local m = {} M = setmetatable({}, m) m.__gc = function() while true do end end return { on = { event = "hostile" }, execute = function() return M end }',
    "a table with holes, and later modes": 'local T = { 1, 2, nil, 4 } local m = {} local W = setmetatable({ {} }, m) m.__mode = "v" return { on = { event = "hostile" }, execute = function(event, ctx) return { ctx:store("h"):put("holes", { #T, select("#", table.unpack(T)) }) } end }',
    "no table": "return 7",
    "bytecode": "\x1bLua",
    "a name in terminal codes": 'return { name = "\\27[2Jx", on = { event = "hostile" }, execute = function() end }',
    "itself in itself": 'local t = { on = { event = "hostile" }, execute = function() end } t.t = t t.on.x = t return t',
}

HEALTHY = """
return { on = { event = "healthy" }, execute = function(event, ctx)
  return { ctx:store("good"):add("n", 1), ctx:store("good"):put("last", event.n) }
end }
"""
LIMITS = 'limits: { timeout: 300ms, memory: 32mb, max_timeout: 1s, max_memory: 64mb }\n'


def script(body: str) -> str:
    return f'return {{ on = {{ event = "hostile" }}, execute = function(event, ctx)\n{body}\nend }}\n'


def scripts(rng: random.Random, count: int) -> list[tuple[str, str]]:
    every = [(name, script(body)) for kind in (MEMORY, TIME, COMMIT) for name, body in kind.items()]
    every += list(FILES.items())
    rng.shuffle(every)
    return every[:count]


@check("hostile", limit=900, quick=True)
def hostile(round: Round) -> None:
    """Hostile scripts, alone and beside a healthy trigger: the host lives, and the healthy one commits."""
    chosen = scripts(round.rng, 6 if round.quick else 1000)
    root = project(round.directory / "project", {"healthy": HEALTHY}, LIMITS)
    place = root / "triggers" / "hostile.lua"
    (root / "triggers" / "broken_module.lua").write_text("error('never loads')\n")
    alone(round, root, chosen)
    host = Host(round, root)
    sent = 0
    slowest = 0.0
    for name, text in chosen:
        place.write_text(text)
        host.alive()
        own = host.send({"event": "hostile", "payload": {"n": sent}}, {"event": "hostile", "payload": {"n": sent}})
        start = time.monotonic()
        numbers = range(sent + 1, sent + 21)
        sent += 20
        try:
            answers = host.ask(*({"event": "healthy", "payload": {"n": n}} for n in numbers), within=20)
        except Exception as fault:
            round.fault(f"beside '{name}': {fault}")
            break
        slowest = max(slowest, time.monotonic() - start)
        for answer in answers:
            if outcome_of(answer, "healthy") != "committed":
                round.fault(f"beside '{name}' a healthy event came out as {json.dumps(answer)}")
        host.await_answers(own, within=30)
    host.alive()
    host.stop(within=20)
    content = state(round, root / "data").get("good", {})
    round.expect(content == {"n": sent, "last": sent}, f"{sent} healthy events gave {content}")
    place.unlink(missing_ok=True)
    verify(round, root / "data", within=300)
    round.note(f"{len(chosen)} scripts, 20 healthy events beside one took {slowest:.2f} s at most")


def alone(round: Round, root: Path, chosen: list[tuple[str, str]]) -> None:
    """`check` and `exec` of each end by themselves, in words that a terminal survives."""
    place = root / "single.lua"
    for name, text in chosen:
        place.write_text(text)
        for command in (["check", place], ["exec", place, "--event", '{"n": 1}']):
            ended = tool(round, *command, within=30)
            raw = sorted({c for c in ended.out + ended.err if (c < " " and c not in "\n\t") or "\x7f" <= c <= "\x9f"})
            if raw:
                round.fault(f"`{command[0]}` of '{name}' prints control characters raw: {raw}")
            if ended.cpu > 20:
                round.fault(f"`{command[0]}` of '{name}' took {ended.cpu:.1f} s of CPU time")
    place.unlink()
