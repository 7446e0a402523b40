"""Bytes that rot: flips, zeroed ranges, lost ends of the files of a directory at rest."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

from . import model
from .kills import CHURN, ECHO, TAKE
from .process import Host, export, outcome_of, project, seq_of, state, tool
from .rounds import Fault, Round, check


def prepare(round: Round) -> tuple[Path, int]:
    """A directory with some history, checkpoints, dead operations and keys, cleanly stopped; gives the last n of its line."""
    rng = round.rng
    config = f"log: {{ checkpoint: {rng.choice(['100ms', '200ms', '5m'])} }}\n"
    fail = "return { on = { event = 'fail' }, execute = function(event) error('no good: ' .. event.i) end }"
    root = project(round.directory / "project", {"take": TAKE, "echo": ECHO, "churn": CHURN, "fail": fail}, config)
    n = 0
    for _ in range(rng.randint(1, 3)):
        host = Host(round, root)
        for _ in range(rng.randint(2, 6)):
            events: list[dict[str, Any]] = []
            for _ in range(rng.randint(1, 100)):
                n += 1
                events.append({"event": "take", "key": f"k{n}", "payload": {"line": "one", "n": n, "id": f"k{n}"}})
            events.append({"event": "churn", "payload": {"keys": rng.sample(range(4000), 60)}})
            events.append({"event": "fail", "payload": {"i": n}})
            host.ask(*events)
            time.sleep(rng.choice([0, 0.25]))
        host.stop(20)
    tool(round, "run", "--exit-when-idle", cwd=root).good()
    return root, n


def hurt(round: Round, file: Path) -> str:
    """Damages a file by chance, and says how."""
    rng = round.rng
    kind = rng.choice(["flip", "flip", "flips", "zeros", "noise", "cut", "row", "row"])
    if kind == "row" and file.name == "log.sqlite" and (row := zero_row(round, file)):
        return row
    kind = "zeros" if kind == "row" else kind
    content = bytearray(file.read_bytes())
    at = rng.randrange(len(content))
    if kind in ("flip", "flips"):
        for at in [at] if kind == "flip" else rng.sample(range(len(content)), min(20, len(content))):
            content[at] ^= 1 << rng.randrange(8)
    elif kind in ("zeros", "noise"):
        length = rng.choice([16, 512, 4096])
        at -= at % length
        content[at:at + length] = (bytes if kind == "zeros" else rng.randbytes)(len(content[at:at + length]))
    else:
        del content[at:]
    file.write_bytes(content)
    return f"{file.name} ({len(content)} bytes), {kind} at {at}"


def zero_row(round: Round, file: Path) -> str | None:
    """Zeroes one blob of one row, as a lost sector may, whatever the table is for."""
    database = sqlite3.connect(file)
    with database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        places = [(table, column[1]) for table in tables for column in database.execute(f"PRAGMA table_info({table})")
                  if column[2].upper() == "BLOB"]
        round.rng.shuffle(places)
        for table, column in places:
            keys = [c[1] for c in database.execute(f"PRAGMA table_info({table})") if c[5]]
            rows = list(database.execute(f"SELECT {', '.join(keys)} FROM {table} WHERE length({column}) > 0"))
            if not rows:
                continue
            row = rows[-1] if round.rng.random() < 0.6 else round.rng.choice(rows)
            where = " AND ".join(f"{key} = ?" for key in keys)
            database.execute(f"UPDATE {table} SET {column} = zeroblob(length({column})) WHERE {where}", row)
            return f"{file.name}, {column} of {table} row {row} zeroed"
    return None


def examine(round: Round, root: Path, what: str, sound: model.State, records: list[dict[str, Any]], n: int) -> str:
    """What tools and a host make of it: the truth, or a refusal in words."""
    data = root / "data"
    verified = tool(round, "log", "verify", "--data", data, "--json", within=30)
    said_intact = verified.code == 0
    shown = tool(round, "replay", "--data", data, "--json", within=30)
    if shown.code == 0:
        wrong = model.difference(sound, json.loads(shown.out))
        if wrong:
            round.fault(f"{what}: replay shows a wrong state without a word: {wrong}"
                        f"{'; log verify says intact' if said_intact else ''}")
    elif not shown.words:
        round.fault(f"{what}: replay ends with {shown.code} and no word")
    exported = tool(round, "log", "export", "--data", data, within=30)
    if exported.code == 0 and [json.loads(line) for line in exported.out.splitlines()] != records:
        round.fault(f"{what}: log export prints other records without a word"
                    f"{'; log verify says intact' if said_intact else ''}")
    for ended in (verified, shown, exported):
        if ended.code not in (0, 1):
            round.fault(f"{what}: `{ended.command}` ends with {ended.code}: {ended.words}")
    outcome = start_on(round, root, what, sound, records, n)
    if outcome == "refused" and said_intact:
        round.fault(f"{what}: log verify says intact, and a host refuses to start on it")
    if outcome == "refused" and exported.code == 0 and records[0]["seq"] == 1 and ("chunk" in what or "checkpoint" in what):
        round.fault(f"{what}: the log has everything from seq 1 on, and a host refuses to start")
    return outcome + (", intact" if said_intact else "")


def start_on(round: Round, root: Path, what: str, sound: model.State, records: list[dict[str, Any]], n: int) -> str:
    """A host on it answers a known key as before and a new one with the next seq; or it says why it cannot start."""
    host = Host(round, root)
    old = round.rng.randint(1, n)
    first = next(r for r in records if r.get("payload", {}).get("id") == f"k{old}" and r["trigger"] == "take")
    known = {"event": "take", "key": f"k{old}", "payload": {"line": "one", "n": old, "id": f"k{old}"}}
    fresh = {"event": "take", "key": f"k{n + 1}", "payload": {"line": "one", "n": n + 1, "id": f"k{n + 1}"}}
    try:
        answers = host.ask(known, fresh, within=20)
    except Fault:
        if host.process.poll() is None:
            raise Fault(f"{what}: the host neither answers nor ends; it said: {host.last_words()}") from None
        host.await_end(5, None, f"a start on damage ({what})")
        if host.process.returncode != 1 or not host.words:
            round.fault(f"{what}: the host ends with {host.process.returncode} and says: {host.last_words()!r}")
        return "refused"
    # Keys that are damaged may be refused, in words; what they stand for must not run twice.
    if seq_of(answers[0]) != first["seq"] and not outcome_of(answers[0]).startswith("error"):
        round.fault(f"{what}: k{old} was acknowledged with seq {first['seq']}; sent again: {answers[0]}")
    seq = seq_of(answers[1])
    if outcome_of(answers[1]) == "committed" and (seq is None or seq <= records[-1]["seq"]):
        round.fault(f"{what}: a new event gets seq {seq}; {records[-1]['seq']} had been given out")
    host.stop(20)
    after = tool(round, "replay", "--data", root / "data", "--json", within=30)
    if after.code == 0:
        content = json.loads(after.out)
        for key, times in content.get("done", {}).items():
            if times != 1:
                round.fault(f"{what}: done/{key} ran {times} times")
                break
        lost = [key for key in sound["done"] if key not in content.get("done", {})]
        if lost:
            round.fault(f"{what}: the host started without {len(lost)} keys of the store done, such as {lost[0]}; "
                        f"it said: {host.last_words(8)}")
    return "started"


@check("damage", limit=300, quick=True)
def damage(round: Round) -> None:
    """Damaged files: no crash, no hang, no wrong state without a word."""
    root, n = prepare(round)
    data = root / "data"
    sound, records = state(round, data), export(round, data)
    outcomes: dict[str, int] = {}
    for number in range(6 if round.quick else 25):
        hurt_root = round.directory / "hurt"
        shutil.copytree(root, hurt_root)
        files = [f for f in (hurt_root / "data").iterdir() if f.name != "lock" and "shm" not in f.name and f.stat().st_size]
        weights = [8 if f.name == "log.sqlite" else 2 for f in files]
        what = f"damage {number}: {hurt(round, round.rng.choices(files, weights)[0])}"
        before = len(round.faults)
        before_image = round.directory / f"hurt-{number}"
        shutil.copytree(hurt_root, before_image)
        try:
            outcome = examine(round, hurt_root, what, sound, records, n)
        except Fault as fault:
            round.fault(f"{what}: {fault}")
            outcome = "fault"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        shutil.rmtree(hurt_root)
        if len(round.faults) == before:
            shutil.rmtree(before_image)
    round.note(", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))
