"""What the log takes on disk: near `retain` under load, one compact file after a clean end, little for a small commit."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from .process import Host, project, verify
from .rounds import Round, check

MEGA = 1_000_000
PUT = """
return {
  on = { event = "put" },
  execute = function(event, ctx) return { ctx:store("s"):put("k" .. event.i % 500, event.text) } end,
}
"""


def size(data: Path) -> int:
    total = 0
    for file in data.rglob("*"):
        try:
            total += file.stat().st_blocks * 512
        except FileNotFoundError:
            pass
    return total


def listing(data: Path) -> str:
    return ", ".join(f"{f.name} {f.stat().st_size}" for f in sorted(data.iterdir()))


@check("disk", limit=300)
def disk(round: Round) -> None:
    """`checkpoint: 5s, retain: 20mb` under load: the directory stays near it; a clean end leaves one compact file."""
    rng = round.rng
    root = project(round.directory / "project", {"put": PUT}, "log: { checkpoint: 5s, retain: 20mb }\n")
    data = root / "data"
    host = Host(round, root)
    start, i, biggest, written = time.monotonic(), 0, 0, 0
    while time.monotonic() - start < round.options.disk_seconds:
        events = []
        for _ in range(200):
            i += 1
            text = rng.randbytes(1000).hex()
            written += len(text)
            events.append({"event": "put", "payload": {"i": i, "text": text}})
        host.ask(*events)
        time.sleep(0.05)
        if time.monotonic() - start > 20:
            biggest = max(biggest, size(data))
    at_end = size(data)
    # Twice what is retained: some is on its way from the write-ahead log into the file, a checkpoint is being written.
    bound = 3 * 20 * MEGA
    if biggest > bound:
        round.fault(f"the directory grew to {biggest / MEGA:.0f} MB with `retain: 20mb`, {written / MEGA:.0f} MB were written "
                    f"in {round.options.disk_seconds:g} s: {listing(data)}")
    host.stop(15)
    left = {f.name: f.stat().st_size for f in data.iterdir() if f.stat().st_size and f.name != "lock"}
    if any(name.startswith("log.sqlite-") for name in left):
        round.fault(f"a clean end leaves more than one file: {listing(data)}")
    if size(data) > 1.5 * 20 * MEGA:
        round.fault(f"a clean end leaves {size(data) / MEGA:.0f} MB with `retain: 20mb`: {listing(data)}")
    verify(round, data)
    round.note(f"{written / MEGA:.0f} MB of values in {i} commits; at most {biggest / MEGA:.0f} MB, {at_end / MEGA:.0f} MB before "
               f"the end, {size(data) / MEGA:.0f} MB after")


@check("lagging", limit=120)
def lagging(round: Round) -> None:
    """`log export` and `log cat --follow` into pipes that nobody reads: the directory of the host does not grow for them."""
    root = project(round.directory / "project", {"put": PUT}, "log: { checkpoint: 2s, retain: 10mb }\n")
    data = root / "data"
    host = Host(round, root)
    i = load(round, host, 0, 15 * MEGA)
    # One page of a terminal that somebody looks at.
    for command in (["log", "export"], ["log", "cat", "--follow", "--from", "1"]):
        round.spawn(round.options.host, *command, "--data", data, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL)
    time.sleep(1)
    load(round, host, i, 120 * MEGA)
    time.sleep(5)
    if size(data) > 60 * MEGA:
        round.fault(f"with readers of the log that stand still the directory grew to {size(data) / MEGA:.0f} MB with "
                    f"`retain: 10mb`: {listing(data)}")
    host.stop(15)
    round.note(f"{size(data) / MEGA:.0f} MB")


@check("shrinks", limit=180)
def shrinks(round: Round) -> None:
    """A directory that was kept whole follows a smaller `retain` after the next start, down to its size."""
    root = project(round.directory / "project", {"put": PUT}, "log: { checkpoint: 2s }\n")
    data = root / "data"
    host = Host(round, root)
    i = load(round, host, 0, 80 * MEGA)
    host.stop(15)
    before = size(data)
    # The log has each value twice, in the event and in the intent.
    if before > 220 * MEGA:
        round.fault(f"80 MB of values take {before / MEGA:.0f} MB after a clean end: {listing(data)}")
    project(root, {}, "log: { checkpoint: 2s, retain: 10mb }\n")
    host = Host(round, root)
    start = time.monotonic()
    while size(data) > 30 * MEGA and time.monotonic() - start < 45:
        i = load(round, host, i, MEGA // 10)
        time.sleep(0.5)
    running = size(data)
    if running > 30 * MEGA:
        round.fault(f"45 s after a start with `retain: 10mb` the directory still has {running / MEGA:.0f} MB: "
                    f"{listing(data)}")
    host.stop(15)
    if size(data) > 20 * MEGA:
        round.fault(f"a clean end leaves {size(data) / MEGA:.0f} MB with `retain: 10mb`: {listing(data)}")
    verify(round, data)
    round.note(f"{before / MEGA:.0f} MB, then {running / MEGA:.0f} MB, after the end {size(data) / MEGA:.0f} MB")


def load(round: Round, host: Host, i: int, total: int) -> int:
    """Commits so many bytes of values, 2 kB each; gives the next number."""
    events: list[dict[str, object]] = []
    for i in range(i, i + total // 2000):
        events.append({"event": "put", "payload": {"i": i, "text": round.rng.randbytes(1000).hex()}})
        if len(events) == 500:
            host.ask(*events)
            events.clear()
    if events:
        host.ask(*events)
    return i + 1


@check("single", limit=120)
def single(round: Round) -> None:
    """Small commits one at a time: bytes written for each, and the write-ahead log meanwhile."""
    root = project(round.directory / "project", {"put": PUT})
    host = Host(round, root)
    host.ask({"event": "put", "payload": {"i": 0, "text": "x"}})
    time.sleep(1)

    def counted() -> tuple[int, int]:
        text = Path(f"/proc/{host.process.pid}/io").read_text()
        fields = dict(line.split(": ") for line in text.splitlines())
        return int(fields["wchar"]), int(fields["write_bytes"])

    before, commits = counted(), 1000 if round.quick else 4000
    for i in range(commits):
        host.ask({"event": "put", "payload": {"i": i, "text": "x"}})
    after = counted()
    calls, device = ((b - a) / commits for a, b in zip(before, after))
    if calls > 8000:
        round.fault(f"{calls:.0f} bytes are written for each small commit")
    if size(root / "data") > 40 * MEGA:
        round.fault(f"{commits} small commits take {size(root / 'data') / MEGA:.0f} MB: {listing(root / 'data')}")
    host.stop()
    round.note(f"{calls:.0f} bytes a commit by write calls, {device:.0f} on the device; directory {size(root / 'data') / 1000:.0f} kB")
