"""Clocks that jump, processes that are stopped: spans are spans, no fire twice, keys once."""

from __future__ import annotations

import shutil
import signal
import struct
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

from .process import Host, export, outcome_of, project, seq_of
from .rounds import LeftOut, Round, check

BUSY = """
return {
  on = { event = "busy" },
  execute = function(event, ctx)
    local x = 0
    for i = 1, event.steps do x = x + i % 7 end
    return { ctx:store("s"):add("busy", 1) }
  end,
}
"""

EVERY = 'return { on = { every = "500ms" }, execute = function(e, ctx) return ctx:store("s"):add("every", 1) end }'
CRON = 'return { on = { cron = "* * * * * *" }, execute = function(e, ctx) return ctx:store("s"):add("cron", 1) end }'
SETTLE = """
return { on = { event = "settle" }, debounce = "700ms", execute = function(e, ctx) return ctx:store("s"):put("settle", e.i) end }
"""
SELDOM = """
return { on = { event = "seldom" }, throttle = "700ms", execute = function(e, ctx) return ctx:store("s"):put("seldom", e.i) end }
"""
# Fails until its gate has been opened in the same phase: so each phase has a retry that must happen.
AGAIN = """
return {
  on = { event = "again" }, retry = { attempts = 8, backoff = "400ms", longest = "400ms" },
  execute = function(event, ctx)
    if not ctx:store("gates"):get(event.i) then error("not yet") end
    return ctx:store("s"):put("again", event.i)
  end,
}
"""
OPEN = 'return { on = { event = "open" }, execute = function(e, ctx) return ctx:store("gates"):put(e.i, true) end }'
ONCE = 'return { on = { event = "once" }, execute = function(e, ctx) return ctx:store("s"):add("once", 1) end }'

SCRIPTS = {"busy": BUSY, "every": EVERY, "cron": CRON, "settle": SETTLE, "seldom": SELDOM, "again": AGAIN, "open": OPEN,
           "once": ONCE}


def busy_steps(host: Host) -> int:
    """Steps of the busy script that take some 30 ms here: the default timeout is 200 ms of CPU time, 2 s of wall time."""
    steps = 50_000
    while True:
        took = []
        for _ in range(5):  # The quickest counts: the first waits for the start, any may wait for a core.
            start = time.monotonic()
            host.ask({"event": "busy", "payload": {"steps": steps}})
            took.append(time.monotonic() - start)
        if min(took) > 0.025 or steps > 20_000_000:
            return steps
        steps = int(steps * min(4, max(1.3, 0.03 / min(took))))


@check("pauses", limit=90, quick=True)
def pauses(round: Round) -> None:
    """SIGSTOP for 2.5 s, then SIGCONT: no script has used its time meanwhile."""
    rng = round.rng
    root = project(round.directory / "project", SCRIPTS)
    host = Host(round, root, arguments=["--workers", "2"])
    steps = busy_steps(host)
    ids: list[int] = []
    for _ in range(2 if round.quick else 4):
        for _ in range(40):
            ids += host.send({"event": "busy", "payload": {"steps": steps}})
        time.sleep(rng.uniform(0.1, 0.3))
        host.process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        host.process.send_signal(signal.SIGCONT)
        failed = [answer for answer in host.await_answers(ids) if outcome_of(answer) != "committed"]
        if failed:
            round.fault(f"SIGSTOP for 2.5 s, SIGCONT: {len(failed)} scripts of some 30 ms failed, the first: {failed[0]}")
        ids.clear()
    host.stop()
    double_fires(round, root / "data")
    round.note("40 scripts of some 30 ms each time")


def double_fires(round: Round, data: Path) -> list[dict[str, Any]]:
    records = export(round, data)
    fires = Counter((r["payload"]["job"], r["payload"]["fire_time"]) for r in records if r.get("kind") == "cron")
    twice = [fire for fire, count in fires.items() if count > 1]
    if twice:
        round.fault(f"fired twice: {twice[0]}")
    return records


class WallClock:
    """The wall clock of a host is ours (wallclock.c, loaded into it), all other clocks are the machine's."""

    def __init__(self, round: Round) -> None:
        compiler = next((found for name in ("cc", "clang", "gcc") if (found := shutil.which(name))), None)
        if compiler is None:
            raise LeftOut("there is no C compiler to make the clock with")
        self.round = round
        library = round.directory / "wallclock.so"
        source = Path(__file__).with_name("wallclock.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-lpthread"], check=True)
        self.file = round.directory / "clock"
        self.file.write_bytes(bytes(8))
        self.env = {"LD_PRELOAD": str(library), "TORTURE_CLOCK": str(self.file)}

    def host(self, root: Path) -> Host:
        return Host(self.round, root, arguments=["--workers", "2"], env=self.env)

    def set(self, ahead: float) -> None:
        """Seconds that the host's wall clock is ahead of the machine's."""
        with self.file.open("r+b") as file:
            file.write(struct.pack("=q", int(ahead * 1e9)))


STEPS: dict[str, list[float]] = {
    "no step at all": [0],  # what is loaded must not be what fails
    "3 s ahead": [3],
    "an hour back": [-3600],
    "to 2036 and back": [10 * 365 * 86400, 0],
    "two days ahead and back": [2 * 86400, 0],
    "an hour ahead, two back": [3600, -3600],
    "30 s back": [-30],
}


class Phases:
    """One stretch after another: in each, everything that waits for time must go on."""

    def __init__(self, round: Round, host: Host) -> None:
        self.round, self.host, self.number = round, host, 0

    def run(self, steps: int, what: str, seconds: float = 4) -> None:
        self.number += 1
        host, i = self.host, self.number
        start = time.monotonic()
        begin = host.ask({"event": "open", "payload": {"i": f"begin{i}"}})
        waiting = host.send(
            {"event": "settle", "payload": {"i": i}}, {"event": "seldom", "payload": {"i": i}},
            {"event": "again", "payload": {"i": f"gate{i}"}, "wait": "accepted"},
            *[{"event": "busy", "payload": {"steps": steps}}] * 8)
        time.sleep(0.2)
        host.ask({"event": "open", "payload": {"i": f"gate{i}"}})
        try:
            for answer in host.await_answers(waiting, 15):
                if outcome_of(answer) not in ("committed", "accepted", "superseded"):
                    self.round.fault(f"{what}: {answer}; the host said: {host.last_words()}")
        except Exception as error:  # noqa: BLE001  (goes on: the later phases tell more)
            self.round.fault(f"{what}: {error}")
        time.sleep(max(0, seconds - (time.monotonic() - start)))
        end = host.ask({"event": "open", "payload": {"i": f"end{i}"}})
        self.spans.append((what, seq_of(begin[0]) or 0, seq_of(end[0]) or 0, f"gate{i}", time.monotonic() - start))

    spans: list[tuple[str, int, int, str, float]]

    def judge(self, records: list[dict[str, Any]]) -> None:
        """What each stretch's records show: schedules fired, the retry came."""
        for what, first, last, gate, seconds in self.spans:
            between = [r for r in records if first <= r["seq"] <= last]
            count = Counter(r["trigger"] for r in between if r["outcome"] == "committed")
            for trigger, due, least in (("every", seconds / 0.5, 2), ("cron", seconds, 1)):
                # Silence is the fault; on a busy machine a fire may find the one before it still under way.
                if count[trigger] < least:
                    self.round.fault(f"{what}: {trigger} fired {count[trigger]} times in {seconds:.1f} s, due were {due:.0f}")
                if count[trigger] > due + 4 and "ahead" not in what and "2036" not in what:
                    self.round.fault(f"{what}: {trigger} fired {count[trigger]} times in {seconds:.1f} s, due were {due:.0f}")
            if not any(r["trigger"] == "again" and r["outcome"] == "committed" and r["payload"]["i"] == gate for r in between):
                self.round.fault(f"{what}: the retry did not come within {seconds:.1f} s")


@check("clocks", limit=300)
def clocks(round: Round) -> None:
    """The wall clock steps: scripts, every, cron, debounce, throttle, retries and keys do not mind."""
    clock = WallClock(round)
    root = project(round.directory / "project", SCRIPTS)
    host = clock.host(root)
    name = round.rng.choice(sorted(STEPS))
    once = {"event": "once", "key": "the-key", "payload": {}}
    first = host.ask(once)[0]
    steps = busy_steps(host)
    phases = Phases(round, host)
    phases.spans = []
    phases.run(steps, "before any step")
    for number, offset in enumerate(STEPS[name]):
        busy = host.send(*[{"event": "busy", "payload": {"steps": steps}}] * 40)
        time.sleep(0.15)
        clock.set(offset)
        for answer in host.await_answers(busy, 60):
            if outcome_of(answer) != "committed":
                round.fault(f"{name}: a script that ran meanwhile: {answer}; the host said: {host.last_words()}")
        phases.run(steps, f"{name}, step {number + 1}")
    back_again = STEPS[name][-1] in (0, 3, -30)
    if back_again and seq_of(host.ask(once)[0]) != seq_of(first):
        round.fault(f"{name}: a key that came again within seconds ran again")
    host.stop()

    # A start while the clock is behind what the log has seen must not be silent either.
    host = clock.host(root)
    phases.host = host
    phases.run(steps, f"{name}, after a restart", 5)
    if back_again and seq_of(host.ask(once)[0]) != seq_of(first):
        round.fault(f"{name}: after a restart a key that came again within seconds ran again")
    host.stop()
    phases.judge(double_fires(round, root / "data"))
    round.note(name)
