"""Starts that come to nothing: what is wrong is named, nothing is left behind, and mended it starts; signals while it starts."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from .process import Host, outcome_of, project, state, tool, verify
from .rounds import Fault, Round, check, patience

VISIT = 'return { on = { event = "visit" }, execute = function(e, ctx) return ctx:store("s"):add("n", 1) end }'
FILES = "stores: { pages: { backend: files, directory: pages } }\n"
EVENT = b'{"event": "visit", "payload": {}}\n'


@dataclass
class Wrong:
    """What is wrong, how to make it so, and a word that the message needs. Mending puts the project back as it was."""

    name: str
    names: str
    config: str = ""
    make: Callable[[Path], object] | None = None
    code: int = 1
    arguments: list[str] = field(default_factory=list)
    old: bool = False  # only on a directory that a host has written


def format_of(root: Path, format: int) -> None:
    with closing(sqlite3.connect(root / "data" / "log.sqlite")) as database, database:
        database.execute("UPDATE meta SET value = ? WHERE name = 'format'", (format,))


def linked(path: Path, target: str) -> None:
    shutil.rmtree(path)
    path.symlink_to(target)


def instead(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    path.write_text("a file")


WRONGS = [
    Wrong("no scripts directory", "triggers", make=lambda root: shutil.rmtree(root / "triggers")),
    Wrong("scripts that are a file", "triggers", make=lambda root: instead(root / "triggers")),
    Wrong("a link to nowhere for scripts", "triggers", make=lambda root: linked(root / "triggers", "nowhere")),
    Wrong("a link to itself for scripts", "triggers", make=lambda root: linked(root / "triggers", "triggers")),
    Wrong("an unknown key", "datas", "datas: x\n"),
    Wrong("an unknown key below another", "chekpoint", "log: { chekpoint: 5m }\n"),
    Wrong("a value of another kind", "workers", "workers: many\n"),
    Wrong("no YAML", "host.yaml", "log: {\n x"),
    Wrong("no cron file", "cron.yaml", "cron: cron.yaml\n"),
    Wrong("no file of a feed", "rows.jsonl", "feeds: [{ name: rows, file: rows.jsonl, event: visit }]\n"),
    Wrong("a store's directory that is a file", "pages", FILES, lambda root: (root / "pages").write_text("x")),
    Wrong("a store's directory that is not there", "pages", FILES),
    Wrong("a directory for a store's table", "rows.sqlite", "stores: { rows: { backend: database } }\n",
          lambda root: (root / "data/stores/rows.sqlite").mkdir(parents=True)),
    Wrong("data that are a file", "data", make=lambda root: instead(root / "data")),
    Wrong("data of a newer format", "format", make=lambda root: format_of(root, 99), old=True),
    Wrong("data of no release's format", "format", make=lambda root: format_of(root, 3), old=True),
    Wrong("an unknown option", "--nonsense", arguments=["--nonsense"], code=2),
    Wrong("an option out of its range", "--workers", arguments=["--workers", "0"], code=2),
    Wrong("another directory", "nonsense", arguments=["nonsense"]),
    Wrong("another configuration", "nonsense.yaml", arguments=["--config", "nonsense.yaml"]),
]


def snapshot(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file but the ones that opening a log may touch, with its content."""
    passing = ("lock", "log.sqlite-shm", "log.sqlite-wal")
    return {str(path.relative_to(root)): (stat.S_IFMT(path.lstat().st_mode), path.read_bytes() if path.is_file() else b"")
            for path in sorted(root.rglob("*")) if path.name not in passing}


def one_wrong(round: Round, sound: Path, wrong: Wrong, had: bool, visits: int) -> None:
    what = f"{wrong.name}{' on data of before' if had else ''}"
    root = round.directory / "wrong"
    shutil.copytree(sound, root, symlinks=True)
    config = (root / "host.yaml").read_text()
    (root / "host.yaml").write_text(config + wrong.config)
    if wrong.make:
        wrong.make(root)
    before = snapshot(root)
    for command in (["run", "--stdin", *wrong.arguments], ["run", "--exit-when-idle", *wrong.arguments]):
        ended = tool(round, *command, cwd=root, within=20, stdin=EVENT)
        if ended.code != wrong.code:
            round.fault(f"{what}: `{ended.command}` ends with {ended.code}, not {wrong.code}: {ended.words}")
        if wrong.names not in ended.err:
            round.fault(f"{what}: `{ended.command}` does not name {wrong.names}: {ended.words}")
        if ended.out.strip():
            round.fault(f"{what}: `{ended.command}` has answered: {ended.out[:300]}")
    after = snapshot(root)
    if had and after != before:
        changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        # A host that opened its data has taken an epoch, which is no harm; a wrong configuration comes first.
        if not set(changed) <= {"data/log.sqlite", "data/newest"} or "database" not in wrong.config:
            round.fault(f"{what}: a start that was refused has changed {', '.join(changed)}")
    mended(round, sound, root, what, wrong, had, visits)
    shutil.rmtree(root)


def mended(round: Round, sound: Path, root: Path, what: str, wrong: Wrong, had: bool, visits: int) -> None:
    """With what was wrong put right, on the data directory as the refused start left it."""
    data = root / "data"
    if "format" in wrong.names:
        format_of(root, read_format(sound))
    elif data.is_file():
        data.unlink()
        if had:
            shutil.copytree(sound / "data", data)
    kept = round.directory / "kept-data"
    if data.exists():
        data.rename(kept)
    shutil.rmtree(root)
    shutil.copytree(sound, root, symlinks=True, ignore=shutil.ignore_patterns("data"))
    if kept.exists():
        kept.rename(data)
        shutil.rmtree(data / "stores", ignore_errors=True)
    ended = tool(round, "run", "--stdin", cwd=root, within=30, stdin=EVENT)
    if ended.code != 0 or '"committed"' not in ended.out:
        round.fault(f"{what}: mended, `{ended.command}` ends with {ended.code}: {ended.out[:200]}{ended.words}")
        return
    if (content := state(round, data)) != {"s": {"n": visits + 1}}:
        round.fault(f"{what}: mended, the store has {content}, should have {visits + 1}")
    verify(round, data)


def read_format(root: Path) -> int:
    with closing(sqlite3.connect(root / "data" / "log.sqlite")) as database:
        return int(database.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()[0])


def unreadable(round: Round, fresh: Path, with_data: Path) -> None:
    """Scripts, or data, that the user of the host may not read. Root may read everything, so it is another user."""
    root = round.directory / "unreadable"
    # With data of before the scripts that were in force stay so.
    for closed, sound, code in (("triggers", fresh, 1), ("triggers", with_data, 0), ("data", with_data, 1)):
        shutil.copytree(sound, root)
        if os.geteuid() == 0:
            for path in [root, *root.rglob("*")]:
                os.chown(path, 65534, 65534)
            round.directory.chmod(0o755)
        (root / closed).chmod(0)
        who = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        try:
            child = round.spawn(round.options.host, "run", "--exit-when-idle", cwd=root, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **who)
        except PermissionError:
            round.note("another user cannot run the binary")
            shutil.rmtree(root)
            return
        out, err = child.communicate(timeout=20 * patience())
        words = (out + err).decode(errors="replace")
        if child.returncode != code or closed not in words or "ermission denied" not in words:
            round.fault(f"{closed} that may not be read, {sound.name}: `run` ends with {child.returncode}, "
                        f"not {code}: {words[-300:]}")
        (root / closed).chmod(0o700)
        shutil.rmtree(root)


def signals(round: Round, root: Path, times: int) -> str:
    """SIGTERM, SIGINT, SIGHUP while it starts, twice: an end with 0 once it has said something; SIGHUP ends nothing."""
    rng = round.rng
    begun = time.monotonic()
    tool(round, "run", "--exit-when-idle", cwd=root).good()
    usual = time.monotonic() - begun
    ends: Counter[str] = Counter()
    visits = state(round, root / "data").get("s", {}).get("n", 0)
    for _ in range(times):
        sent = rng.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
        host = Host(round, root, arguments=[] if rng.random() < 0.5 else ["--workers", "1"])
        time.sleep(rng.uniform(0, 1.2 * usual))
        host.process.send_signal(sent)
        time.sleep(rng.choice([0, 0, 0.001, rng.uniform(0, 0.1)]))
        host.process.send_signal(sent)
        if sent == signal.SIGHUP:
            try:
                answer = host.ask(dict(event="visit", payload={}))[0]
                round.expect(outcome_of(answer) == "committed", f"after SIGHUP in the start: {answer}")
                visits += 1
                host.stop(12)
            except Fault:
                # Before the host can ask for it the signal does what it does by default.
                if host.process.poll() != -signal.SIGHUP or host.words:
                    raise
        else:
            host.await_end(12, None, f"{sent.name} twice in the start")
        code = host.process.returncode
        ends[f"{sent.name} {code}"] += 1
        # The second signal ends at once a host that has begun to end, and a shell would say 130.
        at_once = code == 130 and host.said("Ending")
        if code != 0 and not at_once and (code != -sent or host.words):
            round.fault(f"{sent.name} in the start, twice: the host ends with {code}, it said: {host.last_words()}")
        if (root / "data").exists() and rng.random() < 0.3:
            checked = tool(round, "log", "verify", "--data", "data", cwd=root)
            if checked.code != 0 and "begins one" not in checked.err:
                round.fault(f"after {sent.name} in the start `log verify` ends with {checked.code}: {checked.words}")
        if rng.random() < 0.2:
            ended = tool(round, "run", "--stdin", cwd=root, stdin=EVENT)
            visits += 1
            if ended.code != 0 or '"committed"' not in ended.out:
                round.fault(f"a start after {sent.name} in the start ends with {ended.code}: {ended.words}")
    tool(round, "run", "--exit-when-idle", cwd=root).good()
    if (content := state(round, root / "data").get("s", {}).get("n", 0)) != visits:
        round.fault(f"{visits} visits were acknowledged over starts that were cut off, the store has {content}")
    verify(round, root / "data")
    return ", ".join(f"{end}: {count}" for end, count in sorted(ends.items()))


@check("stages", limit=240, quick=True)
def stages(round: Round) -> None:
    """What is wrong at a start is named, with the documented exit code, and leaves nothing; signals during the start."""
    rng = round.rng
    fresh = project(round.directory / "fresh", {"visit": VISIT})
    with_data = project(round.directory / "with-data", {"visit": VISIT})
    host = Host(round, with_data)
    visits = rng.randint(1, 30)
    host.ask(*[{"event": "visit", "payload": {}}] * visits)
    host.stop()
    wrongs = rng.sample(WRONGS, 3) if round.quick else WRONGS
    for wrong in wrongs:
        had = wrong.old or rng.random() < 0.5
        one_wrong(round, with_data if had else fresh, wrong, had, visits if had else 0)
    unreadable(round, fresh, with_data)
    told = signals(round, with_data if rng.random() < 0.5 else fresh, 4 if round.quick else 25)
    round.note(f"{len(wrongs)} mistakes; {told}")
