"""Crowds at the door: slow connections, clients that never read, a flood of low-priority events. Others do not notice."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .process import Host, outcome_of, project, state
from .rounds import Fault, Round, check, patience
from .web import Answer, Client, listening, peak, percentile

COUNT = """
return {
  on = { event = "%s" },
  execute = function(event, ctx) return { ctx:store("%s"):add("n", 1) } end,
}
"""
CLIENTS = Path(__file__).with_name("crowd_clients.py")
# What others wait for an answer at most (p99), with the crowd's clients on the same cores: seconds.
BOUND = 0.3


class Crowd:
    """Connections in a process of their own: who measures does not wait for who disturbs."""

    def __init__(self, round: Round, port: int, kinds: dict[str, int]) -> None:
        arguments = [part for kind, count in kinds.items() for part in (kind, count)]
        self.process = round.spawn(sys.executable, CLIENTS, port, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout
        if self.process.stdout.readline() != b"ready\n":
            raise Fault(f"the crowd of {kinds} did not get in")

    def end(self) -> dict[str, int]:
        """What became of it: lines of answers, connections that the host closed, those that did not get in again."""
        out, _ = self.process.communicate(timeout=60 * patience())
        return dict(json.loads(out))


@dataclass
class Times:
    """What others waited, in seconds."""

    commits: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)

    def words(self) -> str:
        return ", ".join(f"{name} {percentile(times, 0.5):.0f} and {percentile(times, 0.99):.0f}"
                         for name, times in (("commits", self.commits), ("health", self.health)))


def others(round: Round, host: Host, port: int, seconds: float) -> Times:
    """One client that sends events of high priority and one that asks for health, each one request at a time."""
    times, until = Times(), time.monotonic() + seconds
    is_over = threading.Event()

    def commit(client: Client) -> str | None:
        answer = timed(times.commits, lambda: client.ask("POST", "/v1/events/high?wait=committed&priority=high", {}))
        good = answer.status == 200 and outcome_of(answer.json) == "committed"
        return None if good else f"an event of high priority was answered {answer}"

    def health(client: Client) -> str | None:
        answer = timed(times.health, lambda: client.get("/healthz"))
        return None if answer.status == 200 else f"health is {answer}"

    def client(ask: Callable[[Client], str | None]) -> None:
        try:
            connection = Client(port, timeout=20)
            while time.monotonic() < until and not is_over.is_set():
                if wrong := ask(connection):
                    raise Fault(wrong)
                time.sleep(0.02)
        except Exception as error:
            is_over.set()
            round.fault(f"a client among the crowd ({ask.__name__}): {error!r}")

    threads = [threading.Thread(target=client, args=(ask,), daemon=True) for ask in (commit, health)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 120 * patience())
    host.alive()
    round.expect(bool(times.commits and times.health), "nobody was answered among the crowd")
    return times


def timed(into: list[float], ask: Callable[[], Answer]) -> Answer:
    start = time.monotonic()
    try:
        return ask()
    finally:  # Who gives up has waited, too.
        into.append(time.monotonic() - start)


@check("crowd", limit=400)
def crowd(round: Round) -> None:
    """Connections of a byte a second, floods of low priority, clients that never read: health and others' commits are unmoved."""
    root = project(round.directory / "project", {name: COUNT % (name, name) for name in ("low", "high")}, "durability: group\n")
    many, seconds = (300, 3) if round.quick else (1000, 15)
    allow(many)
    crowds = {
        "slow": {"slow_head": many // 2, "slow_body": many // 4, "slow_lines": many // 4},
        "deaf": {"deaf_lines": 10, "deaf_pages": 10},
        "flood": {"lines": 8, "requests": many},
    }
    host, port = listening(round, root)
    alone = others(round, host, port, seconds)
    sent = len(alone.commits)
    round.note(f"p50 and p99 in ms: alone: {alone.words()}")
    slow = Crowd(round, port, crowds["slow"])  # It stays to the end.
    sent += judged(round, "slow", others(round, host, port, max(seconds, 8)), alone)
    for name in ("deaf", "flood"):
        more = Crowd(round, port, crowds[name])
        sent += judged(round, name, others(round, host, port, seconds), alone)
        done = more.end()
        if name == "flood" and done["answers"] == 0:
            round.fault("no event of the flood was answered: who floods is held up, not shut out")
        if done["lost"]:
            round.fault(f"{done['lost']} connections of the {name} did not get in again")
    memory, took = peak(host), host.stop(5 + 4)
    slow.end()
    round.note(f"{many} slow connections to the end; {memory:.0f} MB at most; ended {took:.1f} s after SIGTERM")
    ran = state(round, root / "data").get("high", {}).get("n", 0)
    if not round.faults and ran != sent:
        round.fault(f"{sent} events of high priority were answered as committed, {ran} ran")


def judged(round: Round, name: str, times: Times, alone: Times) -> int:
    """Notes what others waited; gives how many events they sent."""
    round.note(f"{name}: {times.words()}")
    for what, those, before in (("a commit of high priority", times.commits, alone.commits), ("health", times.health, alone.health)):
        if percentile(those, 0.99) > 1000 * BOUND * patience():
            round.fault(f"{name}: {what} takes {percentile(those, 0.99):.0f} ms (p99 of {len(those)}), alone {percentile(before, 0.99):.0f}")
    return len(times.commits)


def allow(descriptors: int) -> None:
    """As many descriptors as a crowd takes, where the system lets it; the host and the clients inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 4 * descriptors)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
