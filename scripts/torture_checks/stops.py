"""SIGTERM under load and with minutes of waiting ahead: ends in time, with 0, and a start goes on with what waited."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from .process import Host, outcome_of, project, state, verify
from .rounds import Round, check, patience

STOP_TIMEOUT = 5  # seconds, the documents' default
MARGIN = 4

SCRIPTS = {
    "settle": """
return {
  on = { event = "settle" }, debounce = "10m",
  execute = function(event, ctx) return { ctx:store("s"):put("settled", event.i) } end,
}
""",
    "seldom": """
return {
  on = { event = "seldom" }, throttle = "10m",
  execute = function(event, ctx) return { ctx:store("s"):put("seldom", event.i) } end,
}
""",
    "again": """
return {
  on = { event = "again" }, retry = { attempts = 5, backoff = "5m" },
  execute = function(event, ctx) error("not yet") end,
}
""",
    "work": """
return {
  on = { event = "work" },
  execute = function(event, ctx)
    local x = 0
    for i = 1, 30000 do x = x + i % 7 end
    local s = ctx:store("done")
    return { s:put(event.id, (s:get(event.id) or 0) + 1) }
  end,
}
""",
    "long": """
return {
  on = { event = "long" }, timeout = "60s",
  execute = function(event, ctx) while true do end end,
}
""",
    "row": """
return { on = { data = "rows" }, execute = function(event, ctx) return { ctx:store("s"):add("rows", 1) } end }
""",
    "chain": """
return { on = { event = "chain" }, execute = function(event, ctx)
  return { ctx:store("s"):add("chain", 1), ctx:emit("chain", { n = event.n + 1 }) }
end }
""",
}

FEED = "feeds: [{ name: rows, file: rows.jsonl, event: rows, repeat: true }]\n"


def load(round: Round, host: Host, life: int) -> tuple[str, list[int]]:
    """Gives a host something that will not be over soon; gives what, and ids of events that were sent to be accepted."""
    rng = round.rng
    kinds = rng.sample(["settle", "seldom", "again", "work", "long", "chain"], rng.randint(1, 4))
    accepted: list[int] = []
    for kind in kinds:
        if kind == "work":
            for start in range(0, 4000, 500):
                accepted += host.send(*[{"event": "work", "wait": "accepted", "key": f"w{life}-{i}",
                                         "payload": {"id": f"w{life}-{i}"}} for i in range(start, start + 500)])
        elif kind == "chain":
            host.send({"event": "chain", "payload": {"n": 1}})
        else:
            host.send(*[{"event": kind, "payload": {"i": i}} for i in range(3)])
    return "+".join(sorted(kinds)), accepted


@check("stops", limit=300, quick=True)
def stops(round: Round) -> None:
    """SIGTERM with timers of minutes, queues, feeds and long scripts pending: 0 within stop_timeout; all of it goes on."""
    rng = round.rng
    with_feed = rng.random() < 0.5
    root = project(round.directory / "project", SCRIPTS, FEED if with_feed else "")
    (root / "rows.jsonl").write_text("".join(f'{{"n": {n}}}\n' for n in range(1000)))
    promised: set[str] = set()
    slowest = 0.0
    lives = 2 if round.quick else round.options.stops
    for life in range(lives):
        in_memory = life > 0 and rng.random() < 0.2
        host = Host(round, root, arguments=["--memory"] if in_memory else [])
        what, accepted = load(round, host, life)
        time.sleep(rng.uniform(0.2, 1.5))
        host.alive()
        start = time.monotonic()
        if rng.random() < 0.2:
            host.process.terminate()
            time.sleep(0.2)
            start = time.monotonic()
            host.process.terminate()
            host.await_end(2, None, f"a second SIGTERM with {what} pending", start)
        else:
            slowest = max(slowest, host.stop(STOP_TIMEOUT + MARGIN, by=rng.choice([signal.SIGTERM, signal.SIGINT])))
        answers = host.answered()
        if not in_memory:
            promised |= {f"w{life}-{n}" for n, id in enumerate(accepted) if outcome_of(answers.get(id, {})) == "accepted"}
    verify(round, root / "data")
    (root / "host.yaml").write_text("scripts: triggers\ndata: data\n")
    (root / "triggers" / "long.lua").unlink()
    (root / "triggers" / "chain.lua").unlink()
    host = Host(round, root)
    await_done(round, host, root, promised)
    host.stop(STOP_TIMEOUT + MARGIN)
    round.note(f"{lives} stops, the slowest took {slowest:.1f} s; {len(promised)} accepted events went on")


def await_done(round: Round, host: Host, root: Path, promised: set[str]) -> None:
    """What was accepted runs after all, once."""
    deadline = time.monotonic() + 60 * patience()
    while True:
        done = state(round, root / "data").get("done", {})
        missing = promised - set(done)
        twice = [key for key, times in done.items() if times != 1]
        round.expect(not twice, f"{twice[:1]} ran more than once")
        if not missing:
            return
        host.alive()
        round.expect(time.monotonic() < deadline, f"{len(missing)} accepted events have not run 60 s after the start, "
                                                  f"such as {min(missing)}")
        time.sleep(0.5)


@check("timers", limit=60, quick=True)
def timers(round: Round) -> None:
    """A debounce, a throttle and a retry that wait at SIGTERM run after the next start, once."""
    scripts = {
        name: f"""
return {{
  on = {{ event = "{name}" }}, {how},
  execute = function(event, ctx)
    local s = ctx:store("s")
    {body}
    return {{ s:put("{name}", (s:get("{name}") or 0) + 1), s:put("{name}/last", event.i) }}
  end,
}}
"""
        for name, how, body in [
            ("settle", 'debounce = "4s"', ""),
            ("seldom", 'throttle = "4s"', ""),
            ("again", 'retry = { attempts = 5, backoff = "3s" }', 'if not s:get("open") then error("not yet") end'),
        ]
    }
    scripts["open"] = 'return { on = { event = "open" }, execute = function(e, ctx) return ctx:store("s"):put("open", true) end }'
    root = project(round.directory / "project", scripts)
    host = Host(round, root)
    host.send({"event": "again", "payload": {"i": 1}, "wait": "accepted"})
    for i in range(1, 4):
        host.ask(*[{"event": name, "payload": {"i": i}, "wait": "accepted"} for name in ("settle", "seldom")])
    time.sleep(0.3)
    host.ask({"event": "open"})
    took = host.stop(STOP_TIMEOUT + MARGIN)
    if took > 2 * patience():
        round.fault(f"SIGTERM took {took:.1f} s while nothing ran and timers waited")
    host = Host(round, root)
    deadline = time.monotonic() + 15 * patience()
    expected = {"settle": 1, "settle/last": 3, "seldom": 2, "seldom/last": 3, "again": 1, "again/last": 1, "open": True}
    while (content := state(round, root / "data").get("s", {})) != expected and time.monotonic() < deadline:
        time.sleep(0.3)
    if content != expected:
        round.fault(f"15 s after the start the store has {content}, should have {expected}")
    host.stop(STOP_TIMEOUT + MARGIN)
    round.note(f"ended {took:.1f} s after SIGTERM")
