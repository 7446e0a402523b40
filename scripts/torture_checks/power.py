"""Power failures: copies of log.sqlite and its write-ahead log, taken while the host writes, cut as a disk may cut them."""

from __future__ import annotations

import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import model
from .kills import CHURN, ECHO, TAKE, Sender
from .process import Host, export, project, seq_of, state, tool
from .rounds import Fault, Round, check

SECTOR = 512
PAGE = 4096


@dataclass
class Image:
    """A consistent cut of the data directory, and what had been acknowledged by then."""

    directory: Path
    acknowledged: dict[tuple[str, int], int]  # (line, n) → seq

    def file(self, end: str = "") -> Path:
        return self.directory / "data" / f"log.sqlite{end}"

    def wal(self) -> bytes:
        return self.file("-wal").read_bytes() if self.file("-wal").exists() else b""


def pause(host: Host) -> None:
    """SIGSTOP, and waits until every thread stands."""
    host.process.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        states = []
        for task in Path(f"/proc/{host.process.pid}/task").iterdir():
            try:
                states.append((task / "stat").read_text().rsplit(")", 1)[1].split()[0])
            except OSError:
                pass
        if all(one in "TtZX" for one in states):
            return
        time.sleep(0.002)
    raise Fault("the host does not stop at SIGSTOP")


def photograph(round: Round, host: Host, sender: Sender, root: Path, name: str) -> Image:
    """A copy of the stopped host's directory. What was answered before has been read by then."""
    pause(host)
    time.sleep(0.05)
    sender._note()
    directory = round.directory / name
    copy(root, directory)
    acknowledged = {(line.name, n): seq for line in sender.lines for n, seq in line.seqs.items() if seq is not None}
    host.process.send_signal(signal.SIGCONT)
    return Image(directory, acknowledged)


def copy(root: Path, to: Path) -> None:
    """A project with its data, as it would be after the machine started again: nothing holds its lock, no shared memory."""
    shutil.copytree(root, to, ignore=shutil.ignore_patterns("log.sqlite-shm"))


def torn(round: Round, earlier: Image, later: Image) -> tuple[str, Image, bytes, bytes]:
    """What a power failure between two moments may leave, by the rules: all that was synced by the first moment, and any
    sectors of what was written since. Gives what was done, which image the other files are of, the main file, the
    write-ahead log. Files that are written once the log is synced (`newest`) are not ahead of it."""
    rng = round.rng
    old, new = earlier.wal(), later.wal()
    main_old, main_new = earlier.file().read_bytes(), later.file().read_bytes()
    if old[:32] != new[:32] or len(new) <= len(old) or not old:
        return "whole", later, main_new, new  # The write-ahead log began anew meanwhile: what was synced when is not known.
    kind = rng.choice(["cut", "holes", "pages"])
    if kind == "cut":
        at = rng.randint(len(old), len(new))
        return f"write-ahead log cut at {at} of {len(new)}", earlier, main_old, new[:at]
    if kind == "holes":
        torn_wal = bytearray(new)
        for sector in range(-(-len(old) // SECTOR), len(new) // SECTOR):
            if rng.random() < 0.2:
                torn_wal[sector * SECTOR:(sector + 1) * SECTOR] = bytes(SECTOR)
        return "unsynced sectors of the write-ahead log missing", earlier, main_old, bytes(torn_wal)
    # The main file is written after the write-ahead log was synced, in any order.
    mixed = bytearray(main_new)
    for page in range(len(main_old) // PAGE):
        if rng.random() < 0.5:
            mixed[page * PAGE:(page + 1) * PAGE] = main_old[page * PAGE:(page + 1) * PAGE]
    return "some pages of the main file not written yet", later, bytes(mixed), new


def try_image(round: Round, image: Image, what: str, records: list[dict[str, Any]], required: dict[tuple[str, int], int],
              may_refuse: bool) -> None:
    """Starts on an image. It goes on from a prefix of what happened that holds all that is required, or says why not."""
    data = image.directory / "data"
    there = tool(round, "log", "verify", "--data", data, "--json")
    started = tool(round, "run", "--exit-when-idle", cwd=image.directory, within=60)
    if started.code != 0:
        if not may_refuse:
            round.fault(f"{what}: the host refuses ({started.code}): {started.words}")
        elif not started.words or started.code not in (1, 2):
            round.fault(f"{what}: the host ends with {started.code} and says: {started.words!r}")
        elif "--accept-loss" in started.words:
            accepted = tool(round, "run", "--exit-when-idle", "--accept-loss", cwd=image.directory, within=60)
            if accepted.code != 0 and not ("malformed" in accepted.words or "damaged" in accepted.words):
                round.fault(f"{what}: with --accept-loss the host ends with {accepted.code}: {accepted.words}")
        return
    kept = export(round, data)
    if there.code == 0:
        # Up to here both lived the same life; after it the image's host went on by itself.
        for was, now in zip(records[:there.json()["last"]], kept):
            if was != now:
                round.fault(f"{what}: seq {was['seq']} was {was}, is now {now}")
                return
    by_seq = {record["seq"]: record for record in kept}
    for (name, n), seq in required.items():
        if by_seq.get(seq, {}).get("payload", {}).get("id") != f"{name}-{n}":
            round.fault(f"{what}: {name}-{n}, acknowledged as seq {seq}, is gone; the host started without a word "
                        f"({len(kept)} records): {started.words}")
            return
    content = state(round, data)
    wrong = model.difference(model.fold(kept), content)
    if wrong:
        round.fault(f"{what}: the state is not what the log's intents give: {wrong}")
    if content.get("violations"):
        round.fault(f"{what}: order broken: {next(iter(content['violations'].items()))}")
    twice = [key for key, times in content.get("done", {}).items() if times != 1]
    if twice:
        round.fault(f"{what}: done/{twice[0]} ran {content['done'][twice[0]]} times")
    echoless = [key for key in content.get("done", {}) if not key.startswith("echo/") and f"echo/{key}" not in content["done"]]
    if echoless:
        round.fault(f"{what}: what {echoless[0]} emitted never ran")
    ask_again(round, image, what, required)


def ask_again(round: Round, image: Image, what: str, required: dict[tuple[str, int], int]) -> None:
    """Keys whose events were acknowledged are answered like the first time."""
    known = list(required.items())
    if not known:
        return
    host = Host(round, image.directory)
    for (name, n), seq in round.rng.sample(known, min(3, len(known))):
        event = {"event": "take", "key": f"{name}-{n}", "payload": {"line": name, "n": n, "id": f"{name}-{n}"}}
        answer = host.ask(event)[0]
        if seq_of(answer) != seq:
            round.fault(f"{what}: {name}-{n} was acknowledged with seq {seq}; sent again after the start: {answer}")
    host.stop(20)


@check("power", limit=240, quick=True)
def power(round: Round) -> None:
    """Power-failure images while it writes: all synced is there, or the start says in words why it refuses."""
    rng = round.rng
    durability = "group"
    config = f"durability: {durability}\nlog: {{ checkpoint: {rng.choice(['300ms', '2s', '5m'])} }}\n"
    root = project(round.directory / "project", {"take": TAKE, "echo": ECHO, "churn": CHURN}, config)
    sender = Sender(round)

    # A first life that ends well: from here on the directory has a history that nothing may forget.
    host = Host(round, root)
    sender.begin(host)
    sender.go(time.monotonic() + 0.5)
    host.await_answers(range(1, host.sent + 1))
    host.stop(20)
    sender.settle()
    after_stop = {(line.name, n): seq for line in sender.lines for n, seq in line.seqs.items() if seq is not None}

    stopped = Image(round.directory / "stopped", after_stop)
    copy(root, stopped.directory)
    tried: list[tuple[str, Image, dict[tuple[str, int], int], bool]] = [
        ("after a clean stop, without write-ahead log",
         replaced(stopped, "stopped-short", stopped.file().read_bytes(), None), after_stop, True),
    ]
    if wal := stopped.wal():
        cut = replaced(stopped, "stopped-cut", stopped.file().read_bytes(), wal[:rng.randrange(len(wal))])
        tried.append(("after a clean stop, write-ahead log cut", cut, after_stop, True))

    host = Host(round, root)
    sender.begin(host)
    for number in range(1 if round.quick else 5):
        sender.go(time.monotonic() + rng.uniform(0.05, 1.2))
        first = photograph(round, host, sender, root, f"image-{number}-a")
        sender.go(time.monotonic() + rng.uniform(0.01, 0.2))
        second = photograph(round, host, sender, root, f"image-{number}-b")
        tried.append((f"image {number}, whole", first, first.acknowledged, False))
        what, others, main, wal = torn(round, first, second)
        tried.append((f"image {number}, {what}", replaced(others, f"torn-{number}", main, wal), first.acknowledged, False))
        # Less than was ever synced: nothing can be promised but that it is not silent about what it must know.
        short = second.wal()[:rng.randint(0, len(second.wal()))] if rng.random() < 0.7 else None
        about = "no write-ahead log" if short is None else f"write-ahead log of {len(second.wal())} cut at {len(short)}"
        cut = replaced(second, f"short-{number}", second.file().read_bytes(), short)
        tried.append((f"image {number}, {about}", cut, after_stop, True))
    host.await_answers(range(1, host.sent + 1))
    host.stop(20)
    sender.settle()
    records = export(round, root / "data")
    for what, image, required, may_refuse in tried:
        try_image(round, image, what, records, required, may_refuse)
    round.note(f"{len(tried)} images, {sender.acknowledged} acknowledged")


def replaced(image: Image, name: str, main: bytes, wal: bytes | None) -> Image:
    """An image with other bytes."""
    directory = image.directory.parent / name
    copy(image.directory, directory)
    new = Image(directory, image.acknowledged)
    new.file().write_bytes(main)
    if wal is None:
        new.file("-wal").unlink(missing_ok=True)
    else:
        new.file("-wal").write_bytes(wal)
    return new
