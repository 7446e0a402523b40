"""Who is told never holds up who commits: pipes that nobody reads, acknowledgements that are read slowly."""

from __future__ import annotations

import time
from pathlib import Path

from . import model
from .process import Host, export, outcome_of, project, state, verify
from .rounds import Round, check

TICK = """
return {
  on = { every = "100ms" },
  execute = function(event, ctx)
    ctx:log("info", ("tick "):rep(80))
    return { ctx:store("pulse"):add("ticks", 1) }
  end,
}
"""

ROW = """
return {
  on = { data = "rows" },
  execute = function(event, ctx)
    ctx:log("warning", ("row "):rep(80), { n = event.n })
    return { ctx:store("pulse"):add("rows", 1) }
  end,
}
"""

# Failures are said on standard error, with a traceback each.
CRY = """
return { on = { data = "rows" }, execute = function(event, ctx) error(("cry "):rep(200)) end }
"""

VISIT = """
return {
  on = { event = "visit" },
  execute = function(event, ctx)
    if event.loud then ctx:log("info", ("visit "):rep(100)) end
    return { ctx:store("visits"):add("n", 1), ctx:store("visits"):put("id/" .. event.id, true) }
  end,
}
"""

CONFIG = """
feeds:
  - { name: rows, file: rows.jsonl, event: rows, rate: 50, repeat: true }
"""


def pulse(round: Round, root: Path) -> dict[str, int]:
    """What another process sees of the sources that have nothing to do with the pipes."""
    content = state(round, root / "data").get("pulse", {})
    return {"ticks": content.get("ticks", 0), "rows": content.get("rows", 0)}


def expect_pulse(round: Round, root: Path, seconds: float, what: str) -> None:
    """Within these seconds ticks and rows go on being committed, at least at a tenth of their pace (a machine may be busy)."""
    before, start = pulse(round, root), time.monotonic()
    time.sleep(seconds)
    after, passed = pulse(round, root), time.monotonic() - start
    for name, rate in (("ticks", 10), ("rows", 50)):
        if after[name] - before[name] < rate * passed / 10:
            round.fault(f"{what}: {after[name] - before[name]} {name} were committed in {passed:.1f} s, due were "
                        f"{rate * passed:.0f}")


@check("listeners", limit=180, quick=True)
def listeners(round: Round) -> None:
    """Standard output, error or both piped and unread: schedules and feeds go on committing, SIGTERM ends it with 0."""
    rng = round.rng
    root = project(round.directory / "project", {"tick": TICK, "row": ROW, "cry": CRY, "visit": VISIT}, CONFIG)
    (root / "rows.jsonl").write_text("".join(f'{{"n": {n}}}\n' for n in range(50)))
    mute = rng.choice(["output", "error", "both", "one pipe for both", "output gone", "error gone"])
    host = Host(round, root, read_out=mute.startswith("error"), read_err=mute.startswith("output"),
                merged=mute == "one pipe for both")
    if mute.endswith("gone"):
        pipe = host.process.stdout if mute == "output gone" else host.process.stderr
        assert pipe
        pipe.close()
    loud = rng.random() < 0.5
    for start in range(0, 20_000, 1000):
        host.send(*[{"event": "visit", "payload": {"id": i, "loud": loud}} for i in range(start, start + 1000)])
    time.sleep(3)
    host.alive()
    expect_pulse(round, root, 3, f"{mute}, nobody reads it")
    if rng.random() < 0.5:
        seconds = host.stop(5 + 5)
        round.note(f"{mute}, ended {seconds:.1f} s after SIGTERM")
    else:
        host.process.terminate()
        time.sleep(0.5)
        start = time.monotonic()
        host.process.terminate()
        seconds = host.await_end(2, None, "a second SIGTERM", start)
        round.note(f"{mute}, ended {seconds:.1f} s after the second SIGTERM")
    verify(round, root / "data")


@check("slow", limit=120)
def slow_reader(round: Round) -> None:
    """Acknowledgements read slowly hold up their own sender only; none is lost, none comes twice, none is wrong."""
    root = project(round.directory / "project", {"tick": TICK, "row": ROW, "visit": VISIT}, CONFIG)
    (root / "rows.jsonl").write_text("".join(f'{{"n": {n}}}\n' for n in range(50)))
    host = Host(round, root, answer_pause=0.01)
    total = 20_000
    for start in range(0, total, 1000):
        host.send(*[{"event": "visit", "key": f"v{i}", "payload": {"id": i}} for i in range(start, start + 1000)])
    time.sleep(2)
    expect_pulse(round, root, 4, "slow reader")
    host.answer_pause = 0
    answers = host.await_answers(range(1, total + 1), 60)
    wrong = [a for a in answers if outcome_of(a) != "committed"]
    if wrong:
        round.fault(f"answered {wrong[0]}")
    if host.repeated:
        round.fault(f"answered twice: {host.repeated[0]}")
    seconds = host.stop(10)
    records = export(round, root / "data")
    wrong_state = model.difference(model.fold(records), state(round, root / "data"))
    if wrong_state:
        round.fault(f"the state is not what the log's intents give: {wrong_state}")
    if model.fold(records)["visits"]["n"] != total:
        round.fault(f"{total} visits were acknowledged, {model.fold(records)['visits']['n']} are there")
    round.note(f"{total} answers, ended {seconds:.1f} s after SIGTERM")
