"""A check, one round of it, and what a round may use: a directory, chance, a deadline, children that die with it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


def patience() -> float:
    """By how much everything takes longer than on an idle machine: bounds of wall time are multiplied by it."""
    return max(1.0, os.getloadavg()[0] / (2 * (os.cpu_count() or 1)))


class Fault(Exception):
    """What a document promises and the host does not do. Ends the round."""


class LeftOut(Exception):
    """The round needs something that this machine does not have."""


@dataclass
class Options:
    host: Path
    quick: bool = False
    keys: int = 1_100_000
    stops: int = 7
    disk_seconds: float = 75


class Round:
    """One round of one check. Everything random comes from `rng`, so a seed repeats it as far as time lets it."""

    def __init__(self, check: Check, seed: int, options: Options) -> None:
        self.check = check
        self.seed = seed
        self.options = options
        self.quick = options.quick
        self.rng = random.Random(f"{check.name}/{seed}")
        self.directory = Path(tempfile.mkdtemp(prefix=f"torture-{check.name}-"))
        self.faults: list[str] = []
        self.notes: list[str] = []
        self.over = False
        self._children: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def fault(self, message: str) -> None:
        """Notes a fault and goes on."""
        if message not in self.faults:
            self.faults.append(message)

    def expect(self, holds: bool, message: str) -> None:
        """Ends the round with a fault unless this holds."""
        if not holds:
            raise Fault(message)

    def note(self, text: str) -> None:
        """A figure for the round's line."""
        self.notes.append(text)

    def spawn(self, *arguments: object, **options: object) -> subprocess.Popen[bytes]:
        """A child that does not outlive the round."""
        with self._lock:
            if self.over:
                raise Fault("the round is over")
            child = subprocess.Popen([str(a) for a in arguments], **options)  # type: ignore[call-overload]
            self._children.append(child)
            return child

    def end_children(self) -> None:
        with self._lock:
            self.over = True
            for child in self._children:
                if child.poll() is None:
                    child.kill()

    def reap(self) -> None:
        for child in self._children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                self.fault(f"process {child.pid} is still there 10 s after SIGKILL")


@dataclass
class Check:
    """A property and how to try it. `limit` is the wall time of one round in seconds."""

    name: str
    about: str
    body: Callable[[Round], None]
    limit: float
    quick: bool


CHECKS: list[Check] = []


def check(name: str, limit: float, quick: bool = False) -> Callable[[Callable[[Round], None]], Callable[[Round], None]]:
    """Registers a function as a check; its doc comment's first line tells what it is about."""

    def register(body: Callable[[Round], None]) -> Callable[[Round], None]:
        about = (body.__doc__ or "").strip().splitlines()[0]
        CHECKS.append(Check(name, about, body, limit, quick))
        return body

    return register


@dataclass
class Result:
    check: Check
    seed: int
    outcome: str  # passed, failed, left out
    seconds: float
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    directory: Path | None = None


def run_round(check: Check, seed: int, options: Options, begun: Callable[[Round | None], None]) -> Result:
    """Runs one round; `begun` hears of it, and of its end with nil, so that a signal can end it."""
    start = time.monotonic()
    round = Round(check, seed, options)
    begun(round)
    timed_out = threading.Event()

    def end_late() -> None:
        timed_out.set()
        round.end_children()

    limit = check.limit * patience()
    timer = threading.Timer(limit, end_late)
    timer.daemon = True
    timer.start()
    outcome = "passed"
    try:
        check.body(round)
    except LeftOut as reason:
        outcome = "left out"
        round.note(str(reason))
    except Fault as fault:
        round.fault(str(fault))
    except Exception:  # The harness's own mistakes fail a round as well, with their place.
        round.fault("the check itself failed:\n" + traceback.format_exc())
    finally:
        timer.cancel()
        round.end_children()
        round.reap()
        begun(None)
    if timed_out.is_set():
        round.faults.insert(0, f"the round did not end within {limit:.0f} s")
    if round.faults:
        outcome = "failed"
    else:
        shutil.rmtree(round.directory, ignore_errors=True)
    kept = round.directory if round.faults else None
    return Result(check, seed, outcome, time.monotonic() - start, round.notes, round.faults, kept)
