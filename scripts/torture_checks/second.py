"""Second chances: retries in order, dead operations put back, events that another replaced."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from .process import Host, export, outcome_of, project, seq_of, state, tool, verify
from .rounds import Round, check, patience

RETRY = """
return {
  on = { event = "step" }, order_by = "key", retry = { attempts = ATTEMPTS, backoff = "400ms" },
  execute = function(event, ctx)
    local s = ctx:store("s")
    if event.bad and not s:get("open") then error("not yet") end
    return { s:append(event.key, event.n) }
  end,
}
"""
OPEN = 'return { on = { event = "open" }, execute = function(e, ctx) return ctx:store("s"):put("open", true) end }'


@check("order", limit=90, quick=True)
def order(round: Round) -> None:
    """Events of one order_by value keep their order while one of them waits for its next try; others pass; kill -9 too."""
    rng = round.rng
    crash, gives_up = rng.random() < 0.4, rng.random() < 0.3
    root = project(round.directory / "project", {"step": RETRY.replace("ATTEMPTS", "2" if gives_up else "8"), "open": OPEN})
    host = Host(round, root)
    n = 12
    bad = sorted(rng.sample(range(1, n), rng.randint(1, 2)))
    for i in range(1, n + 1):
        host.send(*[{"event": "step", "wait": "accepted", "key": f"{key}-{i}",
                     "payload": {"key": key, "n": i, "bad": key == "held" and i in bad}} for key in ("held", "free")])
        time.sleep(rng.choice([0, 0.01, 0.05]))
    host.await_answers(range(1, host.sent + 1))
    time.sleep(0.15 * patience())
    free = state(round, root / "data").get("s", {}).get("free")
    if free != list(range(1, n + 1)):
        round.fault(f"events of another key wait too: {free}")
    if crash:
        host.kill()
        host = Host(round, root)
    if not gives_up:
        host.ask({"event": "open"})
    expected = [i for i in range(1, n + 1) if not (gives_up and i in bad)]
    deadline = time.monotonic() + 20 * patience()
    while time.monotonic() < deadline:
        held = state(round, root / "data").get("s", {}).get("held", [])
        if len(held) >= len(expected):
            break
        time.sleep(0.2)
    if held != expected:
        round.fault(f"{bad} failed first{' (for good)' if gives_up else ''}, all of one order_by key ran as {held}")
    host.stop()
    verify(round, root / "data")
    round.note(f"{bad} fail {'for good' if gives_up else 'at first'}{', killed meanwhile' if crash else ''}")


SELL_BAD = """
return { on = { event = "sell" }, execute = function(event, ctx)
  error("not mended")
end }
"""
SELL_GOOD = """
return { on = { event = "sell" }, execute = function(event, ctx)
  return { ctx:store("s"):add("sold", event.units), ctx:emit("sold", { units = event.units }) }
end }
"""
COUNT = 'return { on = { event = { "sell", "sold" } }, execute = function(e, ctx) return ctx:store("s"):add("count", 1) end }'
ORDER = """
return { on = { event = "order" }, execute = function(event, ctx)
  return { ctx:store("s"):add("orders", 1), ctx:emit("sell", { units = event.units }) }
end }
"""


def why_text(round: Round, root: Path, key: str) -> str:
    return json.dumps(tool(round, "why", "s", key, "--data", root / "data", "--json").json())


@check("dead", limit=90, quick=True)
def dead(round: Round) -> None:
    """dead requeue runs the failed operation alone again; why names its cause, replay --with the same finds no difference."""
    emitted = round.rng.random() < 0.5
    root = project(round.directory / "project", {"sell": SELL_BAD, "count": COUNT, "order": ORDER})
    data = root / "data"
    event: dict[str, Any] = {"event": "order" if emitted else "sell", "key": "the-order", "payload": {"units": 7}}
    host = Host(round, root)
    first = host.ask(event)[0]
    host.stop()
    listed = [json.loads(line) for line in tool(round, "dead", "list", "--data", data, "--json").good().out.splitlines()]
    round.expect(len(listed) == 1, f"one operation failed, `dead list` shows {listed}")
    tool(round, "dead", "requeue", listed[0]["seq"], "--data", data).good()
    (root / "triggers" / "sell.lua").write_text(SELL_GOOD)
    host = Host(round, root)
    deadline = time.monotonic() + 10 * patience()
    while state(round, data).get("s", {}).get("sold") != 7 and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(0.3)
    again = host.ask(event)[0]
    if emitted:
        if seq_of(again) != seq_of(first):
            round.fault(f"the sender's key was answered {first}, and after a requeue of what it caused {again}")
    elif outcome_of(again, "sell") != "committed":
        round.fault(f"the failed operation was put back and has committed; the sender's key is answered {again}")
    host.stop()
    content = state(round, data).get("s", {})
    expected = {"sold": 7, "count": 2, **({"orders": 1} if emitted else {})}
    if content != expected:
        round.fault(f"after `dead requeue` the store has {content}, should have {expected}")
    if tool(round, "dead", "list", "--data", data).good().out.strip() and "sell" in tool(round, "dead", "list", "--data", data).out:
        round.fault("`dead list` still shows what was put back and committed")
    seq = next((r["seq"] for r in export(round, data) if r["trigger"] == "sell" and r["outcome"] == "committed"), None)
    told = why_text(round, root, "sold")
    if str(listed[0]["seq"]) not in told:
        round.fault(f"`why s sold` (seq {seq}) does not name seq {listed[0]['seq']}, whose operation was put back: {told[:600]}")
    if emitted and '"order"' not in told:
        round.fault(f"`why s sold` does not come to the event from outside: {told[:600]}")
    verify(round, data)
    last_tree = next(r["seq"] for r in export(round, data) if r["trigger"] == "sell" and r["outcome"] == "committed")
    ended = tool(round, "replay", "--data", data, "--with", root / "triggers", "--from", last_tree, "--fail-on-diff", "--json")
    if ended.code != 0:
        round.fault(f"replay --with the same scripts from the requeued operation on differs: {ended.words}")
    round.note("of an emitted event" if emitted else "of an event from outside")


@check("superseded", limit=60, quick=True)
def superseded(round: Round) -> None:
    """Events that another replaced (debounce, throttle, coalesce) are answered superseded, with the seq that ran instead."""
    body = 'execute = function(e, ctx) return ctx:store("s"):append(ctx.trigger, e.n) end'
    scripts = {
        "settle": f'return {{ on = {{ event = "settle" }}, debounce = "300ms", {body} }}',
        "seldom": f'return {{ on = {{ event = "seldom" }}, throttle = "500ms", {body} }}',
        "newest": f'return {{ on = {{ event = "newest" }}, coalesce = true, {body} }}',
        "block": 'return { on = { event = "block" }, priority = "critical", timeout = "2s", execute = function()\n'
                 "  local x = 0 for i = 1, 10000000 do x = x + i % 7 end end }",
    }
    root = project(round.directory / "project", scripts, "workers: 1\n")
    keyed = round.rng.random() < 0.5
    host = Host(round, root)
    sent: dict[str, list[int]] = {name: [] for name in ("settle", "seldom", "newest")}
    host.send(*[{"event": "block", "payload": {}}] * 2)
    for n in range(1, 6):
        for name, ids in sent.items():
            event: dict[str, Any] = {"event": name, "payload": {"n": n}}
            if keyed:
                event["key"] = f"{name}-{n}"
            ids += host.send(event)
    answers = {name: host.await_answers(ids, 20) for name, ids in sent.items()}
    host.stop()
    content = state(round, root / "data").get("s", {})
    records = {r["seq"]: r for r in export(round, root / "data")}
    for name, given in answers.items():
        ran = content.get(name, [])
        for n, answer in enumerate(given, 1):
            outcome, seq = outcome_of(answer), seq_of(answer)
            if n in ran and outcome != "committed":
                round.fault(f"{name} {n} ran and was answered {answer}")
            if n not in ran and outcome != "superseded":
                round.fault(f"{name} {n} never ran (these did: {ran}) and was answered {answer}")
            by = records.get(seq or 0, {})
            if n not in ran and by.get("payload", {}).get("n", 0) <= n:
                round.fault(f"{name} {n} was answered with seq {seq}, which is {by}")
    round.note(f"{'keyed; ' if keyed else ''}ran: {content}")
