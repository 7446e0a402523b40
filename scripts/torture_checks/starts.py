"""Starts: cut off, on a directory that may only be read, on files that are not what they should be, of two hosts at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from .process import Host, crashed, outcome_of, project, state, tool, verify
from .rounds import Fault, Round, check

VISIT = 'return { on = { event = "visit" }, execute = function(e, ctx) return ctx:store("s"):add("n", 1) end }'


@check("first", limit=120, quick=True)
def first(round: Round) -> None:
    """First starts that are killed: the next start works, or says what the directory is; tools say it in words."""
    rng = round.rng
    for number in range(8 if round.quick else 30):
        root = project(round.directory / f"project-{number}", {"visit": VISIT})
        host = Host(round, root)
        host.send({"event": "visit", "key": "one", "payload": {}})
        time.sleep(rng.uniform(0, 0.12))
        host.kill()
        acknowledged = any(outcome_of(answer) == "committed" for answer in host.answers.values())
        data = root / "data"
        if data.exists() and rng.random() < 0.5:
            for command in (["log", "verify"], ["replay", "--json"], ["dead", "list"]):
                ended = tool(round, *command, "--data", data)
                if ended.code not in (0, 1) or (ended.code and not ended.words):
                    round.fault(f"`{ended.command}` after a first start that was killed ends with {ended.code}: {ended.words}")
        host = Host(round, root)
        answer = host.ask({"event": "visit", "key": "one", "payload": {}})[0]
        if outcome_of(answer) != "committed":
            round.fault(f"after a first start that was killed: {answer}")
        host.stop()
        if state(round, data) != {"s": {"n": 1}}:
            round.fault(f"one event, {'acknowledged' if acknowledged else 'sent again'} after the kill: {state(round, data)}")
        verify(round, data)
        shutil.rmtree(root)


@check("strange", limit=120, quick=True)
def strange(round: Round) -> None:
    """Data directories that are none: files of other kinds, empty files, a read-only copy, two hosts. Words, not crashes."""
    root = project(round.directory / "project", {"visit": VISIT})
    host = Host(round, root)
    host.ask(*[{"event": "visit", "payload": {"i": i}} for i in range(200)])
    second = tool(round, "run", "--exit-when-idle", cwd=root, within=15)
    if second.code != 1 or not second.words:
        round.fault(f"a second host on the same directory ends with {second.code}: {second.words}")
    host.stop()
    data = root / "data"
    sound = state(round, data)

    cases = {
        "an empty log.sqlite": lambda d: (d / "log.sqlite").write_bytes(b""),
        "a log.sqlite of text": lambda d: (d / "log.sqlite").write_text("not a database\n" * 500),
        "a log.sqlite that is a directory": lambda d: ((d / "log.sqlite").unlink(), (d / "log.sqlite").mkdir()),
        "a log.sqlite that is a FIFO": lambda d: ((d / "log.sqlite").unlink(), os.mkfifo(d / "log.sqlite")),
        "a header alone": lambda d: (d / "log.sqlite").write_bytes((d / "log.sqlite").read_bytes()[:100]),
        "one page": lambda d: (d / "log.sqlite").write_bytes((d / "log.sqlite").read_bytes()[:4096]),
        "a log.sqlite of another program": lambda d: other_database(d / "log.sqlite"),
        "a directory instead of the lock": lambda d: ((d / "lock").unlink(missing_ok=True), (d / "lock").mkdir()),
        "another's write-ahead log": lambda d: (d / "log.sqlite-wal").write_bytes(os.urandom(50_000)),
    }
    for name, make in cases.items():
        copy = round.directory / "strange"
        shutil.copytree(root, copy)
        for end in ("-wal", "-shm"):
            (copy / "data" / f"log.sqlite{end}").unlink(missing_ok=True)
        make(copy / "data")
        for command in (["log", "verify", "--data", "data"], ["replay", "--json", "--data", "data"],
                        ["dead", "list", "--data", "data"], ["run", "--exit-when-idle"]):
            try:
                ended = tool(round, *command, cwd=copy, within=10)
            except Fault as fault:
                round.fault(f"{name}: {fault}")
                continue
            if ended.code not in (0, 1):
                round.fault(f"{name}: `{ended.command}` ends with {ended.code}: {ended.words}")
            if ended.code == 1 and not ended.words:
                round.fault(f"{name}: `{ended.command}` ends with 1 and no word")
        shutil.rmtree(copy)
    if os.geteuid() == 0:
        read_only(round, root, sound)
    else:
        round.note("read-only copies left out: not root")


def other_database(file: Path) -> None:
    import sqlite3

    file.unlink()
    database = sqlite3.connect(file)
    with database:
        database.execute("CREATE TABLE meta (a, b)")
        database.execute("INSERT INTO meta VALUES ('format', 99)")
    database.close()


def read_only(round: Round, root: Path, sound: object) -> None:
    """Tools of a user who may read the directory and not write it tell the truth, or why not; a host says why not."""
    copy = round.directory / "read-only"
    shutil.copytree(root, copy)
    for path in [round.directory, copy, *copy.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        for command in (["replay", "--json"], ["log", "verify"], ["run", "--exit-when-idle"]):
            child = round.spawn(round.options.host, *command, *(["--data", "data"] if command[0] != "run" else []), cwd=copy,
                                user=65534, group=65534, extra_groups=[], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
            out, err = child.communicate(timeout=20)
            code, words = child.returncode, (out + err).decode(errors="replace")
            if crashed(code) or code not in (0, 1) or not words.strip():
                round.fault(f"read-only copy: `{' '.join(command)}` ends with {code}: {words[-300:]}")
            if command[0] == "replay" and code == 0 and json.loads(out) != sound:
                round.fault(f"read-only copy: replay shows {out[:200]!r}")
            if command[0] == "run" and code == 0:
                round.fault("read-only copy: a host runs on it and says nothing")
    except PermissionError:
        round.note("read-only copies left out: another user cannot run the binary")
    finally:
        round.directory.chmod(0o755)
        for path in [copy, *copy.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
