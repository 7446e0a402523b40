"""A host that was down while its schedules were due."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from datetime import datetime

from .process import Host, export, project
from .rounds import Round, check, patience

TICK = """
return {
  execute = function(event, ctx)
    local x = 0
    for i = 1, 20000 do x = x + i % 7 end
    return { ctx:store("fires"):append(event.job, event.fire_time) }
  end,
}
"""

MODES = ("single", "queued", "parallel", "restart")


def seconds(text: str) -> float:
    whole, fraction = re.fullmatch(r"(.*?)(\.\d+)?Z", text).groups()  # type: ignore[union-attr]
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float(fraction or 0)


@check("catchup", limit=120, quick=True)
def catchup(round: Round) -> None:
    """Missed fires that policy keeps run oldest first, all up to the bound; what is left out is said."""
    rng = round.rng
    period = rng.choice([0.1, 0.5, 1.0])
    text = {0.1: "every: 100ms", 0.5: "every: 500ms", 1.0: 'cron: "* * * * * *"'}[period]
    jobs = [(f"{mode}-{'newest' if newest else 'all'}", mode, newest) for mode in MODES for newest in (True, False)]
    cron = "schedules:\n" + "".join(
        f"  - {{ name: {name}, {text}, trigger: tick, coalesce: {str(newest).lower()}, mode: {mode}, misfire_grace_time: 1h }}\n"
        for name, mode, newest in jobs)
    root = project(round.directory / "project", {"tick": TICK}, cron=cron)
    host = Host(round, root)
    time.sleep(1.5)
    if rng.random() < 0.5:
        host.stop()
    else:
        host.kill()
    down = time.time()
    time.sleep(4 if round.quick else rng.choice([6, 12, 25]))
    up = time.time()
    host = Host(round, root)
    time.sleep(2.5 * patience())
    host.stop()
    records = export(round, root / "data")
    words = [line for line in host.words if "miss" in line or "newest" in line or "catch" in line.lower() or "fire" in line]
    fires: dict[str, list[float]] = defaultdict(list)
    others: dict[tuple[str, str], list[str]] = defaultdict(list)
    for record in records:
        if record.get("kind") == "cron" and record["outcome"] == "committed":
            fires[record["payload"]["job"]].append(seconds(record["payload"]["fire_time"]))
        elif record.get("kind") == "cron":
            others[(record["payload"]["job"], record["outcome"])].append(record["payload"]["fire_time"])
    for (name, outcome), times in others.items():
        # A fire that finds the one before it still running ends it where `restart` says so.
        times = [time for time in times if not name.startswith("restart") or down + 0.2 < seconds(time) < up - 1.5 * period]
        if times:
            round.fault(f"{name}: {len(times)} fires ended {outcome}, the first at {times[0]}")
    for name, mode, newest in jobs:
        judge(round, name, newest, fires[name], down, up, period, words)
    round.note(f"{text}, down for {up - down:.0f} s")


def judge(round: Round, name: str, newest: bool, fires: list[float], down: float, up: float, period: float,
          words: list[str]) -> None:
    """One job's fires against what it says of itself."""
    if len(set(fires)) != len(fires):
        round.fault(f"{name}: a fire ran twice")
    # Fires that were certainly due while nobody was there.
    missed = [fire for fire in fires if down + 0.2 < fire < up - 0.05]
    due = (up - down - 0.25) / period
    # Of those that come later, parallel runs may overtake one another.
    if missed != sorted(missed):
        round.fault(f"{name}: missed fires did not run oldest first: {missed}")
    said = [line for line in words if name in line]
    if newest:
        if len(missed) > 1:
            round.fault(f"{name}: coalesce is true and {len(missed)} missed fires ran")
        if missed and missed[0] < up - period - 0.3:
            round.fault(f"{name}: the missed fire that ran is {up - missed[0]:.1f} s old, not the newest")
    elif len(missed) < int(due) - 1:
        gaps = [b - a for a, b in zip(missed, missed[1:]) if b - a > 1.5 * period]
        if not said:
            round.fault(f"{name}: {len(missed)} of some {due:.0f} missed fires ran, nothing is said of the rest")
        elif due < 60 or gaps:
            round.fault(f"{name}: {len(missed)} of some {due:.0f} missed fires ran ({len(gaps)} gaps); it said: {said[-1]}")
