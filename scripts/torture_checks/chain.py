"""The log's blocks over kill -9: seqs, epochs, checksums, the chain; `log verify` and `run` on blocks changed, moved or lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import model
from .blocks import Block, Damage, blocks_of, check_blocks, flipped, grafted, removed, swapped
from .process import Host, export, outcome_of, project, seq_of, state, tool, verify
from .rounds import Fault, Round, check, patience
from .xxh64 import VECTORS, xxh64

VISIT = """
return { on = { event = "visit" }, execute = function(event, ctx)
  return { ctx:store("done"):put(event.id, ctx.seq), ctx:store("s"):add("n", 1) }
end }
"""
# Long values of a store of files lie apart from the block, once each.
PAGE = """
return { on = { event = "page" }, execute = function(event, ctx)
  local pages = ctx:store("pages")
  return { pages:put(event.path, string.rep(event.text, 400)), pages:put("copy/" .. event.path, string.rep(event.text, 400)) }
end }
"""


@dataclass
class Lives:
    """What answers have said, over the lives of a host."""

    epoch: int = 0
    count: int = 0
    given: dict[int, str] | None = None  # by seq: the event's id in the answer


def look(round: Round, root: Path, lives: Lives, when: str) -> list[Block]:
    """The blocks of a copy, so that looking changes nothing; checks them against what the answers said."""
    copy = round.directory / "look"
    shutil.copytree(root / "data", copy)
    with closing(sqlite3.connect(copy / "log.sqlite")) as database:
        blocks = blocks_of(database)
        epochs = [epoch for (epoch,) in database.execute("SELECT epoch FROM epochs ORDER BY epoch")]
    shutil.rmtree(copy)
    check_blocks(round, blocks, when)
    if epochs != list(range(1, len(epochs) + 1)):
        round.fault(f"{when}: the epochs are {epochs}, each start should have taken the next")
    of_seq = {seq: block.epoch for block in blocks for seq in range(block.first, block.last + 1)}
    newest = blocks[-1].last if blocks else 0
    for seq, event_id in (lives.given or {}).items():
        if seq > newest:
            round.fault(f"{when}: seq {seq} was acknowledged, the log ends with {newest}")
        elif seq in of_seq and of_seq[seq] != int(event_id.split("-")[0]):
            round.fault(f"{when}: event {event_id} was acknowledged with seq {seq}, its block is of epoch {of_seq[seq]}")
    return blocks


def one_life(round: Round, root: Path, lives: Lives, kill: bool, pages: bool) -> None:
    rng = round.rng
    host = Host(round, root)
    lives.count += 1
    asked, epoch = 0, 0
    for _ in range(rng.randint(2, 6)):
        events: list[dict[str, Any]] = []
        for _ in range(rng.choice([1, 1, rng.randint(2, 120)])):
            asked += 1
            name = f"{lives.count}.{asked}"
            kind = "page" if pages and rng.random() < 0.2 else "visit"
            text = rng.choice(["hello ", "x\u00e4\n", "0123456789 "])
            events.append({"event": kind, "key": name, "payload": {"id": name, "path": f"{asked % 7}.txt", "text": text}})
        for answer in host.ask(*events):
            seq = seq_of(answer)
            if outcome_of(answer) != "committed" or seq is None:
                round.fault(f"life {lives.count}: {answer}")
            else:
                assert lives.given is not None
                lives.given[seq] = answer["event_id"]
                epoch = int(answer["event_id"].split("-")[0])
        time.sleep(rng.choice([0, 0, 0.12]))
    if epoch != lives.epoch + 1:
        round.fault(f"life {lives.count} is epoch {epoch}, the one before was {lives.epoch}")
    lives.epoch = epoch
    if kill:
        if rng.random() < 0.5:
            host.send(*[{"event": "visit", "payload": {"id": f"loose {lives.count}.{n}"}} for n in range(200)])
            time.sleep(rng.uniform(0, 0.05))
        host.kill()
    else:
        host.stop(20)


def judged(round: Round, root: Path, what: Damage, must_refuse: bool, sound: model.State) -> None:
    """`log verify` finds it and names the place; a host refuses, or holds what was committed."""
    name, seqs = what
    ended = tool(round, "log", "verify", "--data", root / "data", "--json", within=30)
    if ended.code != 1:
        round.fault(f"{name}: log verify ends with {ended.code}: {ended.words}")
    else:
        told = json.loads(ended.out)
        text = "\n".join(map(str, told["damages"]))
        if told["intact"] or not any(str(seq) in text for seq in seqs):
            round.fault(f"{name}: log verify --json names none of {sorted(seqs)}: {ended.out[:400]}")
    said = tool(round, "log", "verify", "--data", root / "data", within=30)
    if said.code != 1 or not any(str(seq) in said.out + said.err for seq in seqs):
        round.fault(f"{name}: log verify ends with {said.code} and says: {said.words}")
    host = Host(round, root, arguments=["--exit-when-idle"], stdin=False)
    host.await_end(30, None, f"a start ({name})")
    if host.process.returncode == 0:
        if must_refuse:
            round.fault(f"{name}: a host goes on over it and says: {host.last_words()}")
        elif (wrong := model.difference(sound, state(round, root / "data"))):
            round.fault(f"{name}: a host goes on with another state: {wrong}")
    elif host.process.returncode != 1 or not host.words:
        round.fault(f"{name}: a host ends with {host.process.returncode} and says: {host.last_words()!r}")


def trimmed(round: Round, root: Path) -> None:
    """With `log.retain`, goes on until the first block has gone, within the minute and what a busy machine adds."""
    host = Host(round, root)
    deadline = time.monotonic() + 90 * patience()
    first = 1
    n = 0
    while first == 1 and time.monotonic() < deadline:
        n += 1
        host.ask(*[{"event": "visit", "payload": {"id": f"more {n % 5} {i}"}} for i in range(50)])
        time.sleep(0.2)
        with closing(sqlite3.connect(f"file:{root / 'data' / 'log.sqlite'}?mode=ro", uri=True)) as database:
            first = database.execute("SELECT min(first) FROM blocks").fetchone()[0]
    host.stop(20)
    if first == 1:
        round.fault("a log with `retain` still begins with seq 1 after 90 s")


def forked(round: Round, old: Path, events: int) -> Path:
    """A copy of before that goes on with other events, one a block."""
    host = Host(round, old)
    for n in range(events):
        host.ask({"event": "visit", "payload": {"id": f"other {n}"}})
    host.stop(20)
    return old / "data"


def damages(round: Round, root: Path, old: Path, fork_events: int) -> list[str]:
    sound = state(round, root / "data")
    with closing(sqlite3.connect(root / "data" / "log.sqlite")) as database:
        known = database.execute("SELECT max(last) FROM checkpoints").fetchone()[0] or 0
    other = forked(round, old, fork_events)
    kinds: dict[str, Callable[[sqlite3.Connection, list[Block]], Damage | None]] = {
        column: lambda database, blocks, column=column: flipped(round, database, blocks, column)  # type: ignore[misc]
        for column in ("first", "last", "epoch", "checksum", "chain", "cuts", "records")
    }
    kinds["swapped"] = lambda database, blocks: swapped(round, database, blocks)
    kinds["removed"] = lambda database, blocks: removed(round, database, blocks)
    kinds["grafted"] = lambda database, blocks: grafted(round, database, blocks, other)
    chosen = round.rng.sample(list(kinds), 3) if round.quick else list(kinds)
    done = []
    for kind in chosen:
        hurt = round.directory / f"hurt-{kind}"
        shutil.copytree(root, hurt)
        with closing(sqlite3.connect(hurt / "data" / "log.sqlite")) as database:
            blocks = blocks_of(database)
            # What is before the newest checkpoint is history: there a host may go on.
            late = [block for block in blocks if block.first > known]
            must_refuse = len(late) >= 4
            with database:
                what = kinds[kind](database, late if must_refuse else blocks)
        before = len(round.faults)
        if what:
            try:
                judged(round, hurt, what, must_refuse, sound)
            except Fault as fault:
                round.fault(f"{what[0]}: {fault}")
            done.append(kind)
        if len(round.faults) == before:
            shutil.rmtree(hurt)
    return done


def older_file(round: Round, root: Path, old: Path) -> None:
    """An older log.sqlite in the newer directory: a sound log, of a time that is over."""
    hurt = round.directory / "older"
    shutil.copytree(root, hurt)
    shutil.copyfile(old / "data" / "log.sqlite", hurt / "data" / "log.sqlite")
    for command in (["log", "verify", "--data", "data"], ["run", "--exit-when-idle"]):
        ended = tool(round, *command, cwd=hurt, within=30)
        if ended.code != 1 or "newest" not in ended.out + ended.err:
            round.fault(f"an older log.sqlite: `{ended.command}` ends with {ended.code}: {ended.words}")
    shutil.rmtree(hurt)


@check("chain", limit=180, quick=True)
def chain(round: Round) -> None:
    """Blocks of the log as the documents define them, over kill -9; `log verify` names every block changed, moved or lost."""
    for text, seed, expected in VECTORS:
        round.expect(xxh64(text, seed) == expected, f"the check's own XXH64 of {text!r} is wrong")
    rng = round.rng
    kept = rng.random() < 0.6
    pages = rng.random() < 0.5
    config = "stores: { pages: { backend: files, directory: pages } }\n" if pages else ""
    config += "" if kept else f"log: {{ checkpoint: {rng.choice(['100ms', '300ms'])}, retain: {rng.choice(['1s', '200kb'])} }}\n"
    config += f"durability: {rng.choice(['group', 'group', 'async'])}\n"
    root = project(round.directory / "project", {"visit": VISIT, "page": PAGE}, config)
    (root / "pages").mkdir()
    lives = Lives(given={})
    for _ in range(rng.randint(2, 3) if round.quick else rng.randint(3, 7)):
        one_life(round, root, lives, kill=rng.random() < 0.8, pages=pages)
        if not round.quick or rng.random() < 0.5:
            look(round, root, lives, f"after life {lives.count}")
    one_life(round, root, lives, kill=False, pages=pages)
    if not kept and not round.quick and rng.random() < 0.5:
        trimmed(round, root)
        lives.epoch += 1
    look(round, root, lives, "before the copy")
    old = round.directory / "old"
    shutil.copytree(root, old)
    one_life(round, root, lives, kill=False, pages=pages)
    blocks = look(round, root, lives, "at the end")
    verify(round, root / "data")
    if not round.faults:
        records = export(round, root / "data")
        round.expect([r["seq"] for r in records] == list(range(blocks[0].first, blocks[-1].last + 1)),
                     "log export prints other seqs than the blocks have")
    older_file(round, root, old)
    done = damages(round, root, old, 30)
    round.note(f"{lives.count} lives, {len(blocks)} blocks up to seq {blocks[-1].last}"
               f"{'' if kept else f' from {blocks[0].first} on'}; damaged: {', '.join(done)}")


@check("beginning", limit=60, quick=True)
def beginning(round: Round) -> None:
    """A log that lost its first blocks: where a host refuses to start, `log verify` does not call it intact."""
    root = project(round.directory / "project", {"visit": VISIT})
    lives = Lives(given={})
    for _ in range(2):
        one_life(round, root, lives, kill=False, pages=False)
    sound = state(round, root / "data")
    with closing(sqlite3.connect(root / "data" / "log.sqlite")) as database, database:
        blocks = blocks_of(database)
        gone = blocks[round.rng.randrange(len(blocks) - 1)]
        database.execute("DELETE FROM blocks WHERE first <= ?", (gone.first,))
    verified = tool(round, "log", "verify", "--data", root / "data")
    started = tool(round, "run", "--exit-when-idle", cwd=root)
    name = f"the blocks up to seq {gone.last} removed"
    if started.code == 0 and (wrong := model.difference(sound, state(round, root / "data"))):
        round.fault(f"{name}: a host goes on with another state: {wrong}")
    if started.code != 0 and verified.code == 0:
        round.fault(f"{name}: log verify ends with 0 ({verified.words}), and a host refuses to start: {started.words}")
