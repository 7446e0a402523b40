"""What was acknowledged is there, everything once, in order: through kill -9 at any moment."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import model
from .process import Host, export, outcome_of, project, seq_of, state, tool, verify
from .rounds import Fault, Round, check

TAKE = """
return {
  on = { event = "take" },
  order_by = "line",
  execute = function(event, ctx)
    local last, done = ctx:store("last"), ctx:store("done")
    local before = last:get(event.line) or 0
    return {
      last:put(event.line, event.n),
      done:put(event.id, (done:get(event.id) or 0) + 1),
      ctx:store("totals"):add("taken", 1),
      not event.loose and event.n ~= before + 1
        and ctx:store("violations"):put(event.id, { before = before, n = event.n }),
      ctx:emit("echo", { id = event.id }),
    }
  end,
}
"""

ECHO = """
return {
  on = { event = "echo" },
  execute = function(event, ctx)
    local done = ctx:store("done")
    local key = "echo/" .. event.id
    return { done:put(key, (done:get(key) or 0) + 1), ctx:store("totals"):append_text("echoes", ".") }
  end,
}
"""

# Keys that come and go between others that stay: readers of the stores must never lose their way among them.
CHURN = """
return {
  on = { event = "churn" },
  execute = function(event, ctx)
    local keys = ctx:store("keys")
    local intents, change = {}, 0
    for _, n in ipairs(event.keys) do
      local key = "y/" .. n
      if keys:get(key) then
        intents[#intents + 1] = keys:delete(key)
        change = change - 1
      else
        intents[#intents + 1] = keys:put(key, ctx.seq)
        change = change + 1
      end
    end
    intents[#intents + 1] = keys:add("count", change)
    return intents
  end,
}
"""


@dataclass
class Line:
    """Events of one `order_by` value, as their sender knows them."""

    name: str
    wait: str
    sent: int = 0
    pending: dict[int, dict[str, Any]] = field(default_factory=dict)  # by n, in order: not acknowledged
    seqs: dict[int, int | None] = field(default_factory=dict)  # by n: what the acknowledgement said

    def next(self) -> tuple[int, dict[str, Any]]:
        self.sent += 1
        name = f"{self.name}-{self.sent}"
        event: dict[str, Any] = {"event": "take", "key": name,
                                 "payload": {"line": self.name, "n": self.sent, "id": name}}
        if self.wait == "accepted":
            event["wait"] = "accepted"
        self.pending[self.sent] = event
        return self.sent, event


class Sender:
    """Sends, remembers what was acknowledged, sends the rest again after a crash."""

    def __init__(self, round: Round) -> None:
        self.round = round
        self.lines = [Line(f"c{i}", "committed") for i in range(4)] + [Line(f"a{i}", "accepted") for i in range(2)]
        self.loose_sent: set[str] = set()
        self.loose_acknowledged: set[str] = set()
        self.acknowledged = 0
        self.lives = 0

    def begin(self, host: Host) -> None:
        """A new host: what has no answer yet goes to it again, in order."""
        self.host = host
        self.open: dict[int, tuple[Line | None, Any]] = {}
        self.lives += 1
        first = [(line, n, event) for line in self.lines for n, event in line.pending.items()]
        for start in range(0, len(first), 200):
            part = first[start:start + 200]
            for (line, n, _), id in zip(part, host.send(*[event for _, _, event in part])):
                self.open[id] = (line, n)
        self.again = self._send_again(host)

    def go(self, until: float) -> None:
        """Sends until the clock says so or the host is gone."""
        rng, host = self.round.rng, self.host
        while time.monotonic() < until and host.process.poll() is None:
            self._note()
            if len(self.open) > 400:
                time.sleep(0.005)
                continue
            batch = [(line, *line.next()) for line in rng.choices(self.lines, k=rng.randint(1, 60))]
            if rng.random() < 0.5:
                name = f"u{len(self.loose_sent)}"
                self.loose_sent.add(name)
                payload = {"line": "loose", "n": 0, "id": name, "loose": True}
                batch.append((None, name, {"event": "take", "payload": payload}))
            if rng.random() < 0.7:
                keys = rng.sample(range(4000), rng.randint(5, 120))
                batch.append((None, None, {"event": "churn", "payload": {"keys": keys}}))
            for (line, n, _), id in zip(batch, host.send(*[event for _, _, event in batch])):
                self.open[id] = (line, n)
            time.sleep(rng.choice([0, 0.001, 0.01]))

    def settle(self) -> None:
        """After the end of a life: takes what was still in the pipe."""
        host = self.host
        self._note()
        for id, (line, n) in self.again.items():
            answer = host.answers.get(id)
            if answer and line.wait == "committed" and seq_of(answer) != line.seqs[n]:
                self.round.fault(f"{line.name}-{n} was answered with seq {line.seqs[n]}, and when sent again: {answer}")
        if host.repeated:
            self.round.fault(f"answered twice: {host.repeated[0]}")

    def _send_again(self, host: Host) -> dict[int, tuple[Line, int]]:
        """Some that were acknowledged come again: the answer must be the first one."""
        again: dict[int, tuple[Line, int]] = {}
        for line in self.lines:
            known = list(line.seqs)
            for n in self.round.rng.sample(known, min(3, len(known))):
                event = {"event": "take", "key": f"{line.name}-{n}",
                         "payload": {"line": line.name, "n": n, "id": f"{line.name}-{n}"}}
                again[host.send(event)[0]] = (line, n)
        return again

    def _note(self) -> None:
        answers = self.host.answered()
        for id in [id for id in self.open if id in answers]:
            line, n = self.open.pop(id)
            answer, outcome = answers[id], outcome_of(answers[id])
            if outcome not in ("committed", "accepted"):
                self.round.fault(f"life {self.lives}: an event was answered {answer}")
            self.acknowledged += 1
            if line is not None:
                line.pending.pop(n, None)
                line.seqs[n] = seq_of(answer)
            elif n is not None:
                self.loose_acknowledged.add(n)


def check_business(round: Round, sender: Sender, content: model.State) -> None:
    """What the scripts themselves saw: each once, in order, none lost."""
    done, last = content.get("done", {}), content.get("last", {})
    if content.get("violations"):
        round.fault(f"order broken: {next(iter(content['violations'].items()))}")
    for line in sender.lines:
        if line.sent and last.get(line.name) != line.sent:
            round.fault(f"line {line.name}: {line.sent} were sent and acknowledged, the last there is {last.get(line.name)}")
    ids = [f"{line.name}-{n}" for line in sender.lines for n in range(1, line.sent + 1)]
    for name in ids + sorted(sender.loose_acknowledged):
        for key in (name, f"echo/{name}"):
            if done.get(key) != 1:
                round.fault(f"acknowledged event: done/{key} is {done.get(key)}, should be 1")
                return
    for name in sender.loose_sent - sender.loose_acknowledged:
        if done.get(name, 0) > 1 or done.get(name, 0) != done.get(f"echo/{name}", 0):
            round.fault(f"unacknowledged event {name} ran {done.get(name, 0)} times, its emitted one "
                        f"{done.get('echo/' + name, 0)} times")
    keys = content.get("keys", {})
    there = sum(1 for key in keys if key.startswith("y/"))
    if there != keys.get("count", 0):
        round.fault(f"{there} keys y/ beside a counter that says {keys.get('count', 0)}")


def check_log(round: Round, data: Path, sender: Sender, whole: bool) -> None:
    """State, log and tools tell the same; whole: the log begins with seq 1."""
    verify(round, data)
    records = export(round, data)
    newest = state(round, data)
    first = records[0]["seq"]
    if whole:
        round.expect(first == 1, f"`log: retain: all` and the log begins with seq {first}")
        base, rest = {}, records
    else:
        base, rest = oldest_state(round, data, records)
    wrong = model.difference(model.fold(rest, base), newest)
    if wrong:
        round.fault(f"the newest state is not what the log's intents give: {wrong}")
    if whole and len(records) > 2:
        to = round.rng.randint(1, len(records))
        wrong = model.difference(model.fold(records[:to]), state(round, data, to))
        if wrong:
            round.fault(f"replay --to {to} is not what the log's intents give: {wrong}")
    by_seq = {record["seq"]: record for record in records}
    for line in sender.lines:
        for n, seq in line.seqs.items():
            if seq is not None and seq in by_seq and by_seq[seq].get("payload", {}).get("id") != f"{line.name}-{n}":
                round.fault(f"{line.name}-{n} was acknowledged as seq {seq}; the log has there {by_seq[seq]}")
                return


def check_table(round: Round, file: Path, name: str, expected: dict[str, Any]) -> None:
    """A store that is a table: any client of SQLite reads there what the store has."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        rows = {key: json.loads(value) for key, value in database.execute(f"SELECT key, value FROM {name}")}
    wrong = model.difference({name: expected}, {name: rows})
    if wrong:
        round.fault(f"the table is not its store: {wrong}")


def oldest_state(round: Round, data: Path, records: list[dict[str, Any]]) -> tuple[model.State, list[dict[str, Any]]]:
    """The state of the oldest seq that can still be replayed, and the records after it."""
    low, high = 0, len(records) - 1
    while low < high:
        middle = (low + high) // 2
        ended = tool(round, "replay", "--data", data, "--to", records[middle]["seq"], "--json")
        low, high = (low, middle) if ended.code == 0 else (middle + 1, high)
    return state(round, data, records[low]["seq"]), records[low + 1:]


def one_life(round: Round, sender: Sender, root: Path, arguments: list[str]) -> str:
    """Starts a host and kills it at a moment by chance; gives which kind of moment."""
    rng = round.rng
    kind = rng.choice(["start", "run", "run", "run", "stop"])
    host = Host(round, root, arguments=arguments)
    sender.begin(host)
    if kind == "start":
        sender.go(time.monotonic() + rng.uniform(0, 0.15))
    else:
        sender.go(time.monotonic() + rng.uniform(0.1, 0.6 if round.quick else 2.0))
    if kind == "stop" and host.process.poll() is None:
        host.process.send_signal(signal.SIGTERM)
        time.sleep(rng.uniform(0, 0.25))
    code = host.process.poll()
    if code not in (None, 0, -signal.SIGTERM if kind == "stop" else 0):
        raise Fault(f"the host ended with {code} by itself: {host.last_words()}")
    host.kill()
    sender.settle()
    return kind


@check("kills", limit=240, quick=True)
def kills(round: Round) -> None:
    """kill -9 while it starts, runs, checkpoints and stops: acknowledged is there, once, in order; the log replays."""
    rng = round.rng
    whole = rng.random() < 0.6
    config = f"durability: {rng.choice(['group', 'async'])}\n"
    config += f"log: {{ checkpoint: {rng.choice(['200ms', '1s'])}, retain: {'all' if whole else '1mb'} }}\n"
    tables = ["done", "keys"] if rng.random() < 0.4 else []
    if tables:
        config += "stores: {" + ", ".join(f" {name}: {{ backend: database }}" for name in tables) + " }\nstrict_stores: false\n"
    root = project(round.directory, {"take": TAKE, "echo": ECHO, "churn": CHURN}, config)
    sender = Sender(round)
    arguments = ["--workers", str(rng.choice([1, 2, 4]))]
    for _ in range(3 if round.quick else 8):
        one_life(round, sender, root, arguments)
        if rng.random() < 0.25 and (root / "data" / "log.sqlite").exists():
            tool(round, "log", "verify", "--data", root / "data").good()

    host = Host(round, root, arguments=arguments)
    sender.begin(host)
    sender.go(time.monotonic() + 0.3)
    ids = range(1, host.sent + 1)
    host.await_answers(ids, 60)
    sender.settle()
    host.stop(20)
    tool(round, "run", "--exit-when-idle", within=60, cwd=root).good()
    content = state(round, root / "data")
    check_business(round, sender, content)
    check_log(round, root / "data", sender, whole)
    for name in tables:
        check_table(round, root / "data" / "stores" / f"{name}.sqlite", name, content.get(name, {}))
    probe = "return { execute = function(event, ctx) return ctx:store('probe'):put('taken', ctx:store('totals'):get('taken')) end }"
    (root / "probe.lua").write_text(probe)
    seen = tool(round, "exec", root / "probe.lua", "--data", root / "data", "--json").json()
    taken = content.get("totals", {}).get("taken")
    if seen["intents"][0].get("value") != taken:
        round.fault(f"exec reads totals/taken = {seen['intents']}, replay says {taken}")
    round.note(f"{sender.lives} lives, {sender.acknowledged} acknowledged, {config.splitlines()[0]}, "
               f"{'all kept' if whole else 'retain 1mb'}{', tables' if tables else ''}")
