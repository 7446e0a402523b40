"""Blocks of a log, read by SQLite and hashed here, and what may happen to them: one bit, a place, an end."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .rounds import Round
from .xxh64 import MASK, xxh64


@dataclass
class Block:
    first: int
    last: int
    epoch: int
    checksum: int
    chain: int
    whole: bytes  # its records, with the contents that lie apart

    def chain_after(self, before: int) -> int:
        """As Architecture.md says, section The log."""
        numbers = (before, self.checksum, self.first, self.last, self.epoch)
        return xxh64(struct.pack("<5Q", *(number & MASK for number in numbers)))


def blocks_of(database: sqlite3.Connection) -> list[Block]:
    blocks = []
    for first, last, epoch, checksum, chain, cuts, records in database.execute(
            "SELECT first, last, epoch, checksum, chain, cuts, records FROM blocks ORDER BY first"):
        whole = records
        if cuts:
            for offset, content in database.execute("SELECT offset, bytes FROM block_cuts JOIN contents ON content = id "
                                                    "WHERE block = ? ORDER BY offset", (first,)):
                whole = whole[:offset] + content + whole[offset:]
        blocks.append(Block(first, last, epoch, checksum & MASK, chain & MASK, whole))
    return blocks


def check_blocks(round: Round, blocks: list[Block], when: str) -> None:
    """Everything that the documents say of consecutive blocks."""
    for number, block in enumerate(blocks):
        name = f"{when}: the block of seqs {block.first} to {block.last}"
        before = blocks[number - 1] if number else None
        if block.last < block.first or (before and block.first != before.last + 1):
            round.fault(f"{name} comes after seq {before.last if before else 0}")
        if before and block.epoch < before.epoch:
            round.fault(f"{name} is of epoch {block.epoch}, the one before of {before.epoch}")
        if xxh64(block.whole) != block.checksum:
            round.fault(f"{name} has checksum {block.checksum:016x}, its records hash to {xxh64(block.whole):016x}")
        # What was before the first that is kept has gone with its chain.
        if before or block.first == 1:
            expected = block.chain_after(before.chain if before else 0)
            if expected != block.chain:
                round.fault(f"{name} has chain {block.chain:016x}, it should be {expected:016x}")


# What was done to a log, and the seqs of which a message has to name one.
Damage = tuple[str, set[int]]


def flipped(round: Round, database: sqlite3.Connection, blocks: list[Block], column: str) -> Damage:
    """One bit of one column of one block."""
    block = round.rng.choice(blocks)
    value = database.execute(f"SELECT {column} FROM blocks WHERE first = ?", (block.first,)).fetchone()[0]
    if isinstance(value, bytes):
        content = bytearray(value)
        at = round.rng.randrange(len(content))
        content[at] ^= 1 << round.rng.randrange(8)
        changed: Any = bytes(content)
    else:
        at = round.rng.randrange(4)
        changed = value ^ 1 << (at * 8 + round.rng.randrange(8))
    database.execute(f"UPDATE OR REPLACE blocks SET {column} = ? WHERE first = ?", (changed, block.first))
    return f"byte {at} of {column} of the block of seqs {block.first} to {block.last}", {block.first, block.last}


def swapped(round: Round, database: sqlite3.Connection, blocks: list[Block]) -> Damage | None:
    """Two blocks change places, each whole but for its seqs."""
    if len(blocks) < 2:
        return None
    one, two = sorted(round.rng.sample(blocks, 2), key=lambda block: block.first)
    columns = "time, epoch, checksum, chain, cuts, records"
    rows = [database.execute(f"SELECT {columns} FROM blocks WHERE first = ?", (b.first,)).fetchone() for b in (one, two)]
    for block, row in zip((two, one), rows):
        database.execute(f"UPDATE blocks SET ({columns}) = (?, ?, ?, ?, ?, ?) WHERE first = ?", (*row, block.first))
    return f"the blocks that begin with seqs {one.first} and {two.first} swapped", {one.first, two.first}


def removed(round: Round, database: sqlite3.Connection, blocks: list[Block]) -> Damage | None:
    """One in the middle goes."""
    if len(blocks) < 3:
        return None
    block = round.rng.choice(blocks[1:-1])
    database.execute("DELETE FROM blocks WHERE first = ?", (block.first,))
    return f"the block of seqs {block.first} to {block.last} removed", {block.first, block.last}


def grafted(round: Round, database: sqlite3.Connection, blocks: list[Block], other: Path) -> Damage | None:
    """The end of a copy that went on by itself, over the end that the log had: sound blocks of another history."""
    with closing(sqlite3.connect(other / "log.sqlite")) as source:
        theirs = {b.first: b for b in blocks_of(source)}
        ours = [b for b in blocks if b.first in theirs]
        parted = next((b.first for b in ours if b.chain != theirs[b.first].chain), None)
        places = [b.first for b in ours if parted is not None and b.first > parted]
        if not places:
            return None
        place = round.rng.choice(places)
        rows = list(source.execute("SELECT * FROM blocks WHERE first >= ? AND cuts = 0 ORDER BY first", (place,)))
    if not rows or rows[0][0] != place:
        return None
    database.execute("DELETE FROM blocks WHERE first >= ?", (place,))
    for row in rows:
        database.execute(f"INSERT INTO blocks VALUES ({', '.join('?' * len(row))})", row)
    return f"the blocks from seq {place} on are those of a copy that went on from before seq {parted}", {place}
