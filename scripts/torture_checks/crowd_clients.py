"""A process of many connections: `crowd_clients.py PORT KIND COUNT [KIND COUNT]...`, until its standard input ends.

A process of its own, so that who measures others does not wait for it. It says `ready` when all are connected, and at
its end what it has done, as JSON.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field

START = b"POST /v1/events/low?wait=%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\n"


@dataclass
class Member:
    """One connection: the bytes that begin it, then a byte a second of others, or as much of them as the host takes."""

    first: bytes
    then: bytes
    floods: bool = False
    reads: bool = True
    socket: socket.socket = field(init=False)
    left: bytes = b""

    def connect(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setblocking(False)
        self.left = self.first

    def read(self) -> int | None:
        """The lines that have come; nil at the end of the connection."""
        try:
            piece = self.socket.recv(65536)
        except BlockingIOError:
            return 0
        except OSError:
            return None
        return piece.count(b"\n") if piece else None

    def send(self) -> bool:
        """A byte, or much, of what is left; of `then`, round and round. False when the host has closed."""
        self.left = self.left or self.then
        try:
            self.left = self.left[self.socket.send(self.left if self.floods else self.left[:1]):]
            return True
        except BlockingIOError:
            return True
        except OSError:
            return False


def slow_head() -> Member:
    return Member(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", b"x")


def slow_body() -> Member:
    return Member(START % (b"accepted", b"application/json") + b"Content-Length: 100000\r\n\r\n", b" ")


def slow_lines() -> Member:
    return Member(START % (b"committed", b"application/jsonl") + b"Content-Length: 100000\r\n\r\n", b"{}\n")


def lines(wait: bytes) -> Member:
    """One request without end; a chunk has a hundred lines."""
    chunk = b'{"n":1}\n' * 100
    first = START % (wait + b"&priority=low", b"application/jsonl") + b"Transfer-Encoding: chunked\r\n\r\n"
    return Member(first, b"%x\r\n%s\r\n" % (len(chunk), chunk), floods=True)


def requests() -> Member:
    return Member(b"", (START % (b"accepted&priority=low", b"application/json") + b"Content-Length: 2\r\n\r\n{}") * 20, floods=True)


def deaf_lines() -> Member:
    """Sends without end, and reads no answer."""
    member = lines(b"committed")
    member.reads = False
    return member


def deaf_pages() -> Member:
    return Member(b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 50, floods=True, reads=False)


KINDS = {"slow_head": slow_head, "slow_body": slow_body, "slow_lines": slow_lines, "lines": lambda: lines(b"committed"),
         "requests": requests, "deaf_lines": deaf_lines, "deaf_pages": deaf_pages}


class Crowd:
    def __init__(self, port: int, members: list[Member]) -> None:
        self.port, self.members = port, members
        self.answers = self.closed = self.lost = 0
        self.selector = selectors.DefaultSelector()
        for member in members:
            member.connect(port)

    def run(self) -> None:
        for member in self.members:
            self._watch(member)
        self.selector.register(sys.stdin, selectors.EVENT_READ)
        tick = time.monotonic()
        while True:
            for key, events in self.selector.select(0.1):
                if key.data is None:
                    return
                self._serve(key.data, events)
            if time.monotonic() >= tick:
                tick = time.monotonic() + 1
                for member in self.members:
                    if not member.floods and not member.send():
                        self._again(member)

    def _serve(self, member: Member, events: int) -> None:
        if events & selectors.EVENT_READ:
            came = member.read()
            if came is None:
                return self._again(member)
            self.answers += came
        if events & selectors.EVENT_WRITE and not member.send():
            self._again(member)

    def _watch(self, member: Member) -> None:
        events = (selectors.EVENT_READ if member.reads else 0) | (selectors.EVENT_WRITE if member.floods else 0)
        self.selector.register(member.socket, events, member)

    def _again(self, member: Member) -> None:
        """The host has closed it, as it may: the member comes back, unless the host is gone."""
        self.closed += 1
        self.selector.unregister(member.socket)
        member.socket.close()
        try:
            member.connect(self.port)
            self._watch(member)
        except OSError:
            self.lost += 1
            member.floods = True  # Nothing is sent by it any more.


def main() -> None:
    port, pairs = int(sys.argv[1]), sys.argv[2:]
    crowd = Crowd(port, [KINDS[kind]() for kind, count in zip(pairs[::2], pairs[1::2]) for _ in range(int(count))])
    print("ready", flush=True)
    crowd.run()
    print(json.dumps({"answers": crowd.answers, "closed": crowd.closed, "lost": crowd.lost}), flush=True)


if __name__ == "__main__":
    main()
