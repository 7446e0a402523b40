"""Two hosts on one data directory: the second is refused; with the lock taken away, one of them writes, and the log is one."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from . import model
from .kills import check_table
from .process import Host, export, outcome_of, project, seq_of, state, tool, verify
from .rounds import Fault, Round, check, patience

SCRIPTS = {
    "visit": """
return { on = { event = "visit" }, execute = function(event, ctx)
  local done = ctx:store("done")
  return { done:put(event.id, (done:get(event.id) or 0) + 1), ctx:store("s"):add("n", 1) }
end }
""",
    "slow": """
return { on = { event = "slow" }, timeout = "20s", execute = function(event, ctx)
  local x = 0
  for i = 1, 3000000 do x = x + i % 7 end
  local done = ctx:store("done")
  return { done:put(event.id, (done:get(event.id) or 0) + 1), ctx:store("s"):add("n", 1) }
end }
""",
    "fail": 'return { on = { event = "fail" }, execute = function(event, ctx) error("no") end }',
    "tick": 'return { on = { every = "300ms" }, execute = function(event, ctx) return ctx:store("ticks"):add("n", 1) end }',
}


class Told:
    """What any host has acknowledged, by the event's id."""

    def __init__(self) -> None:
        self.sent = 0
        self.hosts: list[tuple[Host, dict[int, str]]] = []

    def begin(self, host: Host) -> Host:
        self.hosts.append((host, {}))
        return host

    def send(self, host: Host, count: int, rng: Any, slow: float = 0) -> list[int]:
        ids = next(ids for known, ids in self.hosts if known is host)
        lines = []
        for _ in range(count):
            self.sent += 1
            name = f"e{self.sent}"
            event = {"event": "slow" if rng.random() < slow else "visit", "key": name, "payload": {"id": name}}
            if rng.random() < 0.2:
                event["wait"] = "accepted"
            line = host.send(event)[0]
            ids[line] = name
            lines.append(line)
        return lines

    def acknowledged(self) -> list[tuple[str, int | None]]:
        """Each event that was promised, with its seq where one was named."""
        return [(name, seq_of(host.answers[line])) for host, ids in self.hosts for line, name in ids.items()
                if line in host.answers and outcome_of(host.answers[line]) in ("committed", "accepted")]


def refused(round: Round, root: Path, failed: int | None) -> None:
    """A second host says whose the directory is, and leaves the first alone. What a command changes, the first does for it."""
    for command, code, words in ((["run", "--exit-when-idle"], 1, "in use"),
                                 (["dead", "drop", failed, "--data", "data"], 0, "1 operation dropped"),
                                 (["dead", "drop", failed, "--data", "data"], 1, "is not among those")):
        ended = tool(round, *command, cwd=root, within=20)
        if ended.code != code or words not in ended.out + ended.err:
            round.fault(f"while a host runs, `{ended.command}` ends with {ended.code}: {ended.words}")


def steal(round: Round, data: Path) -> str:
    """What somebody does who believes that a lock is a file that was left behind."""
    lock = data / "lock"
    kind = round.rng.choice(["removed", "moved", "replaced"])
    if kind == "removed":
        lock.unlink()
    elif kind == "moved":
        os.rename(lock, data / "lock.old")
    else:
        (data / "lock.new").write_text("")
        os.rename(data / "lock.new", lock)
    return f"the lock {kind}"


def replaced(round: Round, root: Path, told: Told, old: Host) -> tuple[str, Host]:
    """Stops the first, takes its lock away and starts another."""
    rng = round.rng
    for _ in range(5):
        if rng.random() < 0.6:  # stopped with events on their way
            told.send(old, rng.randint(1, 60), rng, slow=0.2)
            time.sleep(rng.uniform(0, 0.1))
        os.kill(old.process.pid, signal.SIGSTOP)
        how = steal(round, root / "data")
        new = told.begin(Host(round, root))
        lines = told.send(new, rng.randint(1, 60), rng)
        try:
            new.await_answers(lines, 40)
            return how, new
        except Fault:
            # The first stands still in the middle of a write, and the database has a lock of its own.
            if new.process.poll() != 1 or not new.said("database is locked"):
                raise
        os.kill(old.process.pid, signal.SIGCONT)
        old.await_answers(told.send(old, 3, rng), 40)
    raise Fault("the first host was stopped in the middle of a write five times in turn")


def check_one_log(round: Round, root: Path, told: Told) -> None:
    records = export(round, root / "data")
    seqs = [record["seq"] for record in records]
    if seqs != list(range(1, len(seqs) + 1)):
        round.fault(f"the log's seqs are not one after another: {[s for s, t in zip(seqs, seqs[1:]) if t != s + 1][:5]}")
    by_seq = {record["seq"]: record for record in records}
    content = state(round, root / "data")
    wrong = model.difference(model.fold(records), content)
    if wrong:
        round.fault(f"the state is not what the log's intents give: {wrong}")
    taken: dict[int, str] = {}
    for name, seq in told.acknowledged():
        if content.get("done", {}).get(name) != 1:
            round.fault(f"{name} was acknowledged (seq {seq}); done/{name} is {content.get('done', {}).get(name)}")
        if seq is None:
            continue
        if seq in taken:
            round.fault(f"seq {seq} was given to {taken[seq]} and to {name}")
        taken[seq] = name
        if by_seq.get(seq, {}).get("payload", {}).get("id") != name:
            round.fault(f"{name} was acknowledged with seq {seq}; the log has there {by_seq.get(seq)}")
    twice = [key for key, times in content.get("done", {}).items() if times != 1]
    if twice:
        round.fault(f"{twice[0]} ran {content['done'][twice[0]]} times")


def wake(round: Round, told: Told, old: Host, with_work: bool) -> str:
    """The first host goes on. With something to write it has to notice, to say so and to end with 1."""
    rng = round.rng
    early = with_work and rng.random() < 0.5
    if early:
        told.send(old, rng.randint(1, 20), rng)
    os.kill(old.process.pid, signal.SIGCONT)
    if with_work and not early:
        time.sleep(rng.uniform(0, 0.5))
        told.send(old, rng.randint(1, 20), rng)
    if with_work:
        old.await_end(15, 1, "another host took its place")
        if not any("another" in line for line in list(old.words)):
            round.fault(f"a host that another has replaced ends and says: {old.last_words()}")
        return "told to work"
    time.sleep(rng.uniform(0, 0.5))
    if old.process.poll() is None:
        old.process.send_signal(signal.SIGTERM)
        old.await_end(12, None, "SIGTERM, with another host in its place")
    if old.process.returncode not in (0, 1):
        round.fault(f"a host that another has replaced ends with {old.process.returncode} at SIGTERM: {old.last_words()}")
    return "told to end"


@check("fence", limit=150, quick=True)
def fence(round: Round) -> None:
    """A second host is refused; with the lock removed while the first stands still, it writes no more, and says so."""
    rng = round.rng
    ticks = rng.random() < 0.4
    table = rng.random() < 0.4
    config = f"log: {{ checkpoint: {rng.choice(['200ms', '5m'])} }}\ndurability: {rng.choice(['group', 'group', 'async'])}\n"
    config += "stores: { s: { backend: database }, done: { backend: database } }\n" if table else ""
    scripts = {name: text for name, text in SCRIPTS.items() if ticks or name != "tick"}
    root = project(round.directory / "project", scripts, config)
    told, told_how = Told(), []
    old = told.begin(Host(round, root))
    old.await_answers(told.send(old, rng.randint(1, 60), rng))
    refused(round, root, seq_of(old.ask({"event": "fail", "payload": {}})[0]))
    for _ in range(1 if round.quick else rng.randint(1, 3)):
        how, new = replaced(round, root, told, old)
        fate = rng.choice(["runs", "runs", "runs", "killed", "stopped"])
        if fate == "killed":
            new.kill()
        elif fate == "stopped":
            new.stop(20)
        told_how.append(f"{how}, the second {fate}, the first {wake(round, told, old, rng.random() < 0.7)}")
        if fate != "runs":
            new = told.begin(Host(round, root))
        new.ask({"event": "fail", "payload": {}})  # It has the directory, so the next one takes it from a host that runs.
        if rng.random() < 0.5:  # otherwise nothing covers up what the first may have done to a table
            new.await_answers(told.send(new, rng.randint(1, 20), rng), 40)
        new.alive()
        old = new
    time.sleep(0.1 * patience())
    old.stop(20)
    if table:
        for name in ("s", "done"):
            check_table(round, root / "data" / "stores" / f"{name}.sqlite", name, state(round, root / "data")[name])
    last = tool(round, "run", *([] if ticks else ["--exit-when-idle"]), "--stdin", cwd=root, within=60)
    if last.code != 0:
        raise Fault(f"a start afterwards ends with {last.code}: {last.words}")
    verify(round, root / "data")
    check_one_log(round, root, told)
    round.note(f"{len(told.acknowledged())} acknowledged; {'; '.join(told_how)}{', a table' if table else ''}{', async' if 'async' in config else ''}"
               f"{', ticks' if ticks else ''}")
