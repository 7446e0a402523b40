"""Feeds: each row once through kills, and a start that does not get slower with what was read before."""

from __future__ import annotations

import time

from .process import Host, project, state, tool, verify
from .rounds import Round, check

ROW = """
return { on = { data = "rows" }, execute = function(event, ctx)
  local s = ctx:store("s")
  return { s:add("rows", 1), s:add("sum", event.n), s:put("last", event.n) }
end }
"""


@check("feed", limit=240)
def feed(round: Round) -> None:
    """A long feed with kill -9 on the way: each row once, in order; the start after it is quick."""
    rng = round.rng
    rows = 20_000 if round.quick else 300_000
    # As fast as the queue takes them while hosts are killed, in order where one waits for the other.
    script = ROW.replace('on = { data = "rows" },', 'on = { data = "rows" }, order_by = "one",')
    root = project(round.directory / "project", {"row": script}, "log: { checkpoint: 1s }\n"
                   "feeds: [{ name: rows, file: rows.csv, event: rows, set: { one: 1 } }]\n")
    (root / "rows.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(1, rows + 1)))
    kills = 4
    for _ in range(kills):
        host = Host(round, root, stdin=False)
        time.sleep(rng.uniform(0.2, 0.5 if round.quick else 1.5))
        host.kill()
    start = time.monotonic()
    tool(round, "run", "--exit-when-idle", cwd=root, within=120).good()
    reading = time.monotonic() - start
    content = state(round, root / "data").get("s", {})
    expected = {"rows": rows, "sum": rows * (rows + 1) // 2, "last": rows}
    if content != expected:
        round.fault(f"{rows} rows were read through {kills} kills: {content}, should be {expected}")
    again = tool(round, "run", "--exit-when-idle", cwd=root, within=60).good()
    if again.cpu > 2:
        round.fault(f"a start after {rows} rows, with nothing to do, takes {again.cpu:.1f} s of CPU time")
    if state(round, root / "data").get("s", {}) != expected:
        round.fault("a start after the end of a feed read rows again")
    verify(round, root / "data")
    round.note(f"{rows} rows, the last stretch took {reading:.1f} s, a start afterwards {again.cpu:.2f} s of CPU time")
