"""Keys of senders: once within a day, whatever comes between; bytes that are no text are refused."""

from __future__ import annotations

import time
from typing import Any

from .process import Host, outcome_of, project, seq_of, state
from .rounds import Round, check

ONCE = """
return {
  on = { event = "once" },
  execute = function(event, ctx)
    local s = ctx:store("s")
    return {
      s:add("n", 1),
      event.name ~= nil and s:add("name/" .. event.name, 1),
      event["caf\u00e9"] and s:put("last", { ["caf\u00e9"] = event["caf\u00e9"], ["cafe\u0301"] = event["cafe\u0301"] }),
    }
  end,
}
"""


def once(number: int, more: str = "") -> bytes:
    return b'{"event":"once","key":"%d","payload":{"i":%d%s}}' % (number, number, more.encode())


@check("keys", limit=400)
def keys(round: Round) -> None:
    """More keys than any bound, kill and restart between, then the first ones again: answered like the first time."""
    root = project(round.directory / "project", {"once": ONCE}, "log: { checkpoint: 5s, retain: 20mb }\n")
    host = Host(round, root)
    total = 20_000 if round.quick else round.options.keys
    first: dict[int, int | None] = {}
    step, n = 5000, 0
    refused = 0
    start = time.monotonic()
    while n < total:
        ids = host.send(*[once(i) for i in range(n, n + step)])
        answers = host.await_answers(ids, 60)
        for i, answer in zip(range(n, n + step), answers):
            if outcome_of(answer) == "committed":
                if i < 100 or i % 10_000 == 0:
                    first[i] = seq_of(answer)
            elif outcome_of(answer).startswith("error"):
                refused += 1  # A bound may be said plainly; running twice may not.
            else:
                round.fault(f"key {i} was answered {answer}")
        host.answers.clear()
        n += step
    seconds = time.monotonic() - start
    memory = next(line for line in open(f"/proc/{host.process.pid}/status") if line.startswith("VmHWM")).split()[1]
    for how in ("after the others", "after kill -9"):
        for i, answer in zip(first, host.ask(*[once(i) for i in first])):
            if seq_of(answer) != first[i]:
                round.fault(f"key {i} was answered with seq {first[i]}; {how}, {n - refused} keys in all: {answer}")
                break
        if how == "after the others":
            host.kill()
            host = Host(round, root)
    host.stop(20)
    ran = state(round, root / "data")["s"]["n"]
    if ran != n - refused:
        round.fault(f"{n - refused} keys were answered as committed, {ran} ran")
    round.note(f"{n} keys, {refused} refused, {n / seconds:.0f} a second, {int(memory) / 1000:.0f} MB")


@check("bytes", limit=60, quick=True)
def not_text(round: Round) -> None:
    """Bytes that are not UTF-8 in names, keys, values and feeds are refused in words; nothing else suffers."""
    bad = [b"caf\xe9", b"caf\xe8", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\xe2\x82", b"\x80"]
    listen = 'return { on = { data = "rows" }, execute = function(e, ctx) return ctx:store("s"):append("rows", e.name) end }'
    root = project(round.directory / "project", {"once": ONCE, "rows": listen})
    host = Host(round, root)
    wrong: list[tuple[bytes, int]] = []
    for i, text in enumerate(bad):
        for line in (b'{"event":"once","key":"%s","payload":{"i":1}}' % text,
                     b'{"event":"%s","key":"name%d","payload":{}}' % (text, i),
                     b'{"event":"once","key":"value%d","payload":{"name":"%s"}}' % (i, text),
                     b'{"event":"once","key":"field%d","payload":{"%s":1}}' % (i, text),
                     b'%s{"event":"once","payload":{}}' % text):
            wrong.append((line, host.send(line)[0]))
    # Three texts, three keys: composed, decomposed (the same for people and for Unicode), and the sign for what was no text.
    good = host.send(*[{"event": "once", "key": key, "payload": {"name": "same"}} for key in ("caf\u00e9", "cafe\u0301", "\ufffd")])
    # In one object they are two as well, in the event as in a store.
    twins = {"caf\u00e9": 1, "cafe\u0301": 2}
    good += host.send({"event": "once", "payload": twins})
    answers = host.await_answers([id for _, id in wrong] + good, 20)
    for (line, _), answer in zip(wrong, answers):
        if "error" not in answer:
            round.fault(f"{line!r} was answered {answer}")
    seqs = set()
    for answer in answers[len(wrong):]:
        if outcome_of(answer) != "committed":
            round.fault(f"good text was answered {answer}")
        seqs.add(seq_of(answer))
    if len(seqs) != 4:
        round.fault(f"four events, three of them with different keys, were answered with seqs {seqs}")
    host.stop()
    content = state(round, root / "data").get("s", {})
    if content.get("n") != 4:
        round.fault(f"4 events were good, {content.get('n')} ran: {content}")
    if content.get("last") != twins:
        round.fault(f"of an object with the keys {list(twins)}, {content.get('last')} was left")
    feeds(round, bad[0])


def feeds(round: Round, text: bytes) -> None:
    """A feed with such a row says so and does not make another text of it."""
    listen = 'return { on = { data = "rows" }, execute = function(e, ctx) return ctx:store("s"):append("rows", e.name) end }'
    for name, content in (("rows.jsonl", b'{"name":"a"}\n{"name":"%s"}\n' % text), ("rows.csv", b"name\na\n%s\n" % text)):
        root = project(round.directory / name, {"rows": listen}, f"feeds: [{{ name: rows, file: {name}, event: rows }}]\n")
        (root / name).write_bytes(content)
        host = Host(round, root, stdin=False)
        time.sleep(1.5)
        if host.process.poll() is None:
            host.stop()
        if not (root / "data" / "log.sqlite").exists():
            continue
        rows: list[Any] = state(round, root / "data").get("s", {}).get("rows", [])
        if any("\ufffd" in row for row in rows):
            round.fault(f"{name}: {text!r} became {rows}")
