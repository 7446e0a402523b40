"""Everything ends: scripts without end, tests that wait, pipes as files, closed descriptors."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .process import Host, crashed, outcome_of, project, tool
from .rounds import Fault, Round, check, patience

ENDLESS = {
    "loop": "while true do end",
    "recursion": "local function f(n) return 1 + f(n + 1) end return f(1)",
    "recursion of methods": "local m = {} m.__index = function(t, k) return t[k .. 'x'] end return setmetatable({}, m).a",
    "two that call each other": "local f, g function f(n) return 1 + g(n) end function g(n) return 1 + f(n) end return f(1)",
    "recursion in tostring": "local t t = setmetatable({}, {__tostring = function() return tostring(t) end}) return tostring(t)",
    "recursion in concat": "local t t = setmetatable({}, {__concat = function() return t .. 'x' end}) return t .. 'x'",
    "recursion with many locals": "local function f(a,b,c,d,e) local i,j,k,l = a,b,c,d return {f(b,c,d,e,i)} end return f(1,2,3,4,5)",
    "tail calls": "local function f(n) return f(n + 1) end return f(1)",
    "pcall around the loop": "while true do pcall(function() while true do end end) end",
    "recursion through pcall": "local function f(n) return pcall(f, n + 1) end return f(1)",
    "error in the error handler": "local function h(e) error(e) end while true do xpcall(error, h) end",
    "coroutines in coroutines": "local function f() return coroutine.wrap(f)() end return f()",
    "coroutine that never ends": "local c = coroutine.wrap(function() while 1 do coroutine.yield() end end) while 1 do c() end",
    "sort that never decides": "local t = {} for i = 1, 1e5 do t[i] = i % 7 end table.sort(t, function() while true do end end)",
    "pattern that backtracks": "return (('a'):rep(30) .. 'b'):match(('a?'):rep(30) .. ('a'):rep(30) .. 'c')",
    "text without end": "local s = 'x' while true do s = s .. s end",
    "table without end": "local t = {} while true do t[#t + 1] = {} end",
    "gsub that feeds itself": "local s = ('x'):rep(1000) while true do s = s:gsub('x', 'xx') end",
    "require of itself by load": "local f f = function() return load('return ...')(f()) end return f()",
    "huge error": "error(('x'):rep(5e6))",
    "error that is a table": "error(setmetatable({}, {__tostring = function() while true do end end}))",
}


def trigger(body: str, event: str = "x", more: str = "") -> str:
    return f'return {{ on = {{ event = "{event}" }}, {more and more + ","} execute = function(event, ctx)\n  {body}\nend }}\n'


@check("endless", limit=240, quick=True)
def endless(round: Round) -> None:
    """Endless loops and recursions of every kind end as failed within seconds, in exec and in run; others go on meanwhile."""
    names = round.rng.sample(sorted(ENDLESS), 5 if round.quick else len(ENDLESS))
    if round.quick and "recursion" not in names:
        names[0] = "recursion"
    slowest = (0.0, "")
    scripts = {f"endless{i}": trigger(ENDLESS[name], f"endless{i}") for i, name in enumerate(names)}
    scripts["fine"] = trigger("return ctx:store('s'):add('fine', 1)", "fine")
    root = project(round.directory / "project", scripts)
    for i, name in enumerate(names):
        ended = tool(round, "exec", root / "triggers" / f"endless{i}.lua", "--event", "{}", within=60, cwd=round.directory)
        slowest = max(slowest, (ended.cpu, name))
        if ended.cpu > 3:
            round.fault(f"exec of {name} used {ended.cpu:.1f} s of CPU time; its timeout is 200 ms")
        if ended.code != 1:
            round.fault(f"exec of {name} ends with {ended.code}, not 1: {ended.words}")
        if "defect" in ended.out + ended.err:
            round.fault(f"exec of {name} calls itself a defect: {ended.words}")
        if len(ended.out) + len(ended.err) > 200_000:
            round.fault(f"exec of {name} prints {len(ended.out) + len(ended.err)} bytes")
    host = Host(round, root)
    for i, name in enumerate(names):
        start = host.cpu()
        first = host.send({"event": f"endless{i}", "payload": {}})
        fine = host.send(*[{"event": "fine", "payload": {}}] * 3)
        for answer in host.await_answers(fine, 5):
            if outcome_of(answer) != "committed":
                round.fault(f"beside {name}: {answer}")
        answer = host.await_answers(first, 20)[0]
        seconds = host.cpu() - start
        slowest = max(slowest, (seconds, name))
        if outcome_of(answer) != "failed":
            round.fault(f"{name} was answered {answer}")
        if seconds > 3:
            round.fault(f"{name} used {seconds:.1f} s of CPU time in run; its timeout is 200 ms")
    if host.said("defect"):
        round.fault(f"the host calls one of {names} a defect of its own: "
                    f"{next(line for line in host.words if 'defect' in line)}")
    host.stop()
    round.note(f"{len(names)} scripts, the slowest '{slowest[1]}' with {slowest[0]:.1f} s of CPU time")


WAITING = {
    "settle": trigger("return ctx:store('s'):put('settle', 1)", "settle", 'debounce = "10m"'),
    "seldom": trigger("return ctx:store('s'):add('seldom', 1)", "seldom", 'throttle = "10m"'),
    "again": trigger("error('no')", "again", 'retry = { attempts = 3, backoff = "10m" }'),
    "source": trigger("return ctx:emit('settle')", "source"),
}

WAITING_TESTS = {
    "a debounced event": 'host():send("settle", {})',
    "two throttled events": 'local h = host() h:send("seldom", {}) h:send("seldom", {})',
    "a retry that fails": 'host():send("again", {})',
    "advance over an emitted debounced event": 'local h = host() h:send("source", {}) h:advance("1s")',
    "advance far": 'local h = host() h:send("settle", {}) h:advance("20m")',
    "a loop": "while true do end",
    "a loop in pcall": "while true do pcall(function() while true do end end) end",
    "recursion": "local function f(n) return 1 + f(n + 1) end f(1)",
    "a run that loops": 'run("loop", {})',
}


@check("tests", limit=240)
def tests_end(round: Round) -> None:
    """trigger-host test on debounce, throttle, retry and endless tests ends within its --timeout, naming the test."""
    scripts = dict(WAITING)
    scripts["loop"] = trigger("while true do end", "loop")
    for i, (name, body) in enumerate(WAITING_TESTS.items()):
        scripts.clear()
        scripts.update(WAITING)
        scripts["loop"] = trigger("while true do end", "loop")
        scripts[f"case{i}_test"] = f'describe("waiting", function() it("{name}", function() {body} end) end)'
        root = project(round.directory / f"tests{i}", scripts)
        try:
            ended = tool(round, "test", root, "--timeout", "3s", within=15)
        except Fault as fault:
            round.fault(f"{name}: {fault}")
            continue
        if ended.code not in (0, 1):
            round.fault(f"{name}: ends with {ended.code}: {ended.words}")
        if ended.code == 1 and name not in ended.out + ended.err:
            round.fault(f"{name}: the failure does not name the test: {ended.words}")


def expect_end(round: Round, what: str, codes: set[int], within: float, *arguments: object, **options: object) -> None:
    """A process with descriptors of its own ends within the time, with one of these codes."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.DEVNULL)
    options.setdefault("stderr", subprocess.DEVNULL)
    within *= patience()
    child = round.spawn(*arguments, **options)
    try:
        code = child.wait(within)
    except subprocess.TimeoutExpired:
        child.kill()
        round.fault(f"{what}: still there after {within:g} s")
        return
    if crashed(code):
        round.fault(f"{what}: crashed ({code})")
    elif code not in codes:
        round.fault(f"{what}: ended with {code}, expected {sorted(codes)}")


@check("borders", limit=240)
def borders(round: Round) -> None:
    """FIFOs as files, closed and full descriptors, readers that go away: no hang, no crash, the documented exit codes."""
    host = round.options.host
    scripts = {"fine": trigger("return ctx:store('s'):add('fine', 1)", "fine"),
               "loud": trigger("for i = 1, 100 do ctx:log('info', ('x'):rep(100)) end", "fine")}
    root = project(round.directory / "project", scripts)
    running = Host(round, root)
    running.ask(*[{"event": "fine", "payload": {"i": i}} for i in range(500)])
    running.stop()
    fifos: dict[str, Callable[[Path], None]] = {
        "feed": lambda p: (p / "host.yaml").write_text(
            "scripts: triggers\nfeeds: [{ name: f, file: pipe, event: rows, format: jsonl }]\n") and os.mkfifo(p / "pipe"),
        "cron file": lambda p: (p / "host.yaml").write_text("scripts: triggers\ncron: pipe\n") and os.mkfifo(p / "pipe"),
        "script": lambda p: os.mkfifo(p / "triggers" / "pipe.lua"),
        "module": lambda p: (p / "triggers" / "m.lua").write_text(
            'local m = require "pipe"\n' + scripts["fine"]) and os.mkfifo(p / "triggers" / "pipe.lua"),
        "host.yaml": lambda p: ((p / "host.yaml").unlink(), os.mkfifo(p / "host.yaml"))[1],
    }
    for name, make in fifos.items():
        directory = project(round.directory / f"fifo-{name.replace(' ', '-')}", scripts)
        make(directory)
        expect_end(round, f"check with a FIFO as {name}", {0, 1, 2}, 10, host, "check", cwd=directory)
        # A feed may well be a pipe: then the host runs, and ends when told.
        child = round.spawn(host, "run", "--memory", cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
        time.sleep(1.5)
        child.terminate()
        try:
            code = child.wait(9 * patience())
            if crashed(code):
                round.fault(f"run with a FIFO as {name}: crashed ({code})")
            elif code not in (0, 1, 2, -15):
                round.fault(f"run with a FIFO as {name}: ended with {code}")
        except subprocess.TimeoutExpired:
            child.kill()
            round.fault(f"run with a FIFO as {name}: still there long after SIGTERM")

    closed = [("standard input", "<&-"), ("standard output", ">&-"), ("standard error", "2>&-"),
              ("all three", "<&- >&- 2>&-")]
    for name, how in closed:
        for command in ("run --stdin --exit-when-idle", "run --exit-when-idle", "check", "log export --data data",
                        "replay --data data --verify", "exec triggers/fine.lua", "test", "bench --help"):
            # printf's one line is the whole input where input is open.
            expect_end(round, f"{command} with {name} closed", {0, 1, 2}, 60,
                       "bash", "-c", f"printf '{{\"event\": \"fine\"}}\\n' | exec timeout 60 {host} {command} {how}", cwd=root)
    for command in ("log export --data data", "replay --data data --json", "log cat --data data", "check --json"):
        expect_end(round, f"{command} into a full device", {0, 1, 74}, 20, "bash", "-c",
                   f"exec {host} {command} >/dev/full", cwd=root)
        expect_end(round, f"{command} whose reader goes away", {0, 1, 141}, 20, "bash", "-c",
                   f"set -o pipefail; {host} {command} | head -c 100 >/dev/null", cwd=root)
    expect_end(round, "run --stdin whose answers go into a full device", {0, 1, 74}, 20, "bash", "-c",
               f"printf '{{\"event\": \"fine\"}}\\n' | timeout -s TERM 3 {host} run --memory --stdin >/dev/full; "
               "c=$?; [ $c = 124 ] || exit $c", cwd=root)
    expect_end(round, "run --stdin whose reader goes away", {0, 1, 141}, 20, "bash", "-c",
               f"(for i in $(seq 3000); do echo '{{\"event\": \"fine\"}}'; done; sleep 1) |"
               f" timeout -s TERM 3 {host} run --memory --stdin 2>/dev/null | head -1 >/dev/null; "
               "c=${PIPESTATUS[1]}; [ $c = 124 ] || exit $c", cwd=root)
    for arguments, code in ((["--nonsense"], 2), (["run", "--config", "missing.yaml"], 1), (["exec", "missing.lua"], 1),
                            (["log", "export", "--data", "missing"], 1), (["cron", "next", "61 * * * *"], 1),
                            (["replay", "--data", "data", "--to", "99999999"], 1), (["why", "s", "nokey", "--data", "data"], 1)):
        ended = tool(round, *arguments, cwd=root, within=20)
        if ended.code not in ({1, 2} if code == 1 else {2}):
            round.fault(f"`{ended.command}` ends with {ended.code}, expected {code}: {ended.words}")
