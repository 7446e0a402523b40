"""Conversations over WebSockets through kill -9: clients come back and send again; nothing is lost, nothing comes twice."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import signal
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from .process import project, state
from .rounds import Fault, LeftOut, Round, check, patience
from .web import Client, listening

# Answers its sender with how many messages of the session there were, and tells the room.
SAY = """
return {
  on = { message = "say" },
  execute = function(event, ctx)
    local talk, done = ctx:store("talk"), ctx:store("done")
    local n = (talk:get(event.session) or 0) + 1
    return { talk:put(event.session, n), done:add(event.who .. "-" .. event.id, 1),
      ctx:send(event.session, { type = "echo", n = n, of = event.id }),
      ctx:broadcast("room", { type = "said", who = event.who, of = event.id }) }
  end,
}"""
# A second trigger of the same event, so that an acknowledgement waits for two operations.
COUNT = """
return {
  on = { message = "say" },
  execute = function(event, ctx) return { ctx:store("count"):add("all", 1) } end,
}"""
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Gone(Exception):
    """The connection has ended; `code` is that of a close frame, if one came."""

    def __init__(self, code: int | None = None) -> None:
        super().__init__(f"close {code}")
        self.code = code


class WebSocket:
    """RFC 6455 as far as a good client of texts needs it."""

    def __init__(self, port: int, path: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30 * patience())
        self.buffer = b""
        key = base64.b64encode(os.urandom(16))
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key.decode()}\r\n"
            "Sec-WebSocket-Protocol: trigger-host.v1\r\n\r\n".encode())
        head = self._until(b"\r\n\r\n").decode()
        if " 404 " in head.split("\r\n")[0]:
            raise LeftOut("this trigger-host has no GET /v1/ws")
        if " 101 " not in head.split("\r\n")[0]:
            raise Fault(f"the upgrade was answered {head!r}")
        proof = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        if proof not in head:
            raise Fault(f"the upgrade has no proof {proof}: {head!r}")

    def _more(self) -> None:
        piece = self.socket.recv(1 << 16)
        if not piece:
            raise Gone
        self.buffer += piece

    def _until(self, end: bytes) -> bytes:
        while end not in self.buffer:
            self._more()
        head, _, self.buffer = self.buffer.partition(end)
        return head

    def _take(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def send(self, message: Any, opcode: int = 1) -> None:
        payload = message if isinstance(message, bytes) else json.dumps(message).encode()
        mask = os.urandom(4)
        size = len(payload)
        head = bytes([0x80 | opcode])
        head += bytes([0x80 | size]) if size < 126 else bytes([0xFE]) + struct.pack(">H", size)
        self.socket.sendall(head + mask + bytes(b ^ mask[i & 3] for i, b in enumerate(payload)))

    def receive(self, within: float) -> Any:
        """The next message; None when none has come in time. Raises Gone."""
        self.socket.settimeout(within)
        try:
            while True:
                while len(self.buffer) < 2:
                    self._more()
                self.socket.settimeout(30 * patience())
                first, size = self._take(2)
                if size > 125:
                    size = struct.unpack(">H", self._take(2))[0] if size == 126 else struct.unpack(">Q", self._take(8))[0]
                payload = self._take(size)
                if first & 15 == 1:
                    return json.loads(payload)
                if first & 15 == 8:
                    raise Gone(struct.unpack(">H", payload[:2])[0] if len(payload) > 1 else None)
                if first & 15 == 9:
                    self.send(payload, 10)
        except TimeoutError:
            return None

    def close(self) -> None:
        self.socket.close()


@dataclass
class Talker:
    """A client that keeps its session over all lives of the host."""

    name: str
    hears: bool  # the room, changes of `count`, records and executions
    waits: bool  # for the word that a message is sure to run
    session: str = ""
    token: int = 0
    sent: int = 0
    open: dict[int, dict[str, Any]] = field(default_factory=dict)  # messages without an acknowledgement, by id
    echoed: int = 0
    rooms: dict[str, int] = field(default_factory=dict)  # the last message heard of each speaker
    records: dict[tuple[str, str], int] = field(default_factory=dict)  # the same of records, by what they came as
    changed: int = 0  # the last seq of a change
    history: dict[int, Any] = field(default_factory=dict)  # what came, by token
    subscribed: bool = False
    lives: int = 0
    ended: int | None = None

    def next(self, rng: random.Random) -> dict[str, Any]:
        self.sent += 1
        message = {"type": "say", "id": self.sent, "who": self.name}
        # All or none: after a kill what was accepted runs, and may overtake what was not and is sent again.
        if self.waits:
            message["$wait"] = "accepted"
        self.open[self.sent] = message
        return message

    def took(self, message: dict[str, Any], ends: bool) -> None:
        """Every message has the token after that of the one before."""
        if ends and message["type"] == "$error" and message["code"] == "stopping":
            raise Gone  # The next life gets what was sent.
        if message["type"] in ("$subscribed", "$pong"):
            self.subscribed = self.subscribed or message["type"] == "$subscribed"
            return
        if message["type"] == "$error":
            raise Fault(f"{self.name} was told {message}")
        if message.get("token") != self.token + 1:
            raise Fault(f"{self.name} has token {self.token}, and gets {message}")
        self.token += 1
        self.history[self.token] = message
        if message["type"] == "$ack" and message.get("accepted"):
            pass  # What came of it is told as well.
        elif message["type"] == "$ack":
            if len(message["results"]) != 2 or any(each["outcome"] != "committed" for each in message["results"]):
                raise Fault(f"{self.name} was told {message}")
            if self.open.pop(message["id"], None) is None and message["id"] not in self.again:
                raise Fault(f"{self.name} was told twice: {message}")
        elif message["type"] == "echo":
            if (message["n"], message["of"]) != (self.echoed + 1, self.echoed + 1):
                raise Fault(f"{self.name} had echo {self.echoed}, and gets {message}")
            self.echoed += 1
        elif message["type"] == "said":
            before = self.rooms.get(message["who"])
            if before is not None and message["of"] != before + 1:
                raise Fault(f"{self.name} heard {before} of {message['who']}, and hears {message}")
            self.rooms[message["who"]] = message["of"]
        elif message["type"] in ("$record", "$execution"):
            record = message[message["type"][1:]]
            kind = (message["type"], record["payload"]["who"])
            if self.records.get(kind, record["payload"]["id"] - 1) != record["payload"]["id"] - 1:
                raise Fault(f"{self.name} heard {self.records[kind]} of {kind}, and hears {message}")
            self.records[kind] = record["payload"]["id"]
        elif message["type"] == "$change":
            if message["seq"] < self.changed or not isinstance(message["value"], int):
                raise Fault(f"{self.name} heard of a change of seq {self.changed}, and hears {message}")
            self.changed = message["seq"]

    again: set[int] = field(default_factory=set)  # sent again: a second acknowledgement may come


class Room:
    """All clients, over all lives."""

    def __init__(self, round: Round) -> None:
        self.round = round
        # Each such word makes the host keep what its sessions are: without one, more is made again of records.
        waits = round.rng.random() < 0.5
        self.talkers = [Talker(f"t{i}", hears=i < 2, waits=waits and i % 3 == 1) for i in range(6)]
        self.ending = threading.Event()

    def has_heard(self, talker: Talker) -> bool:
        """What every talker has said, in all forms."""
        sent = [other for other in self.talkers if other.sent] if talker.hears else []
        return all(
            talker.rooms.get(other.name) == other.sent
            and all(talker.records.get((kind, other.name)) == other.sent for kind in ("$record", "$execution"))
            for other in sent)

    def life(self, port: int, until: float) -> list[threading.Thread]:
        self.ending.clear()
        threads = []
        for talker in self.talkers:
            rng = random.Random(self.round.rng.random())
            threads.append(threading.Thread(target=self._guarded, args=(talker, port, until, rng), daemon=True))
            threads[-1].start()
        return threads

    def _guarded(self, talker: Talker, port: int, until: float, rng: random.Random) -> None:
        try:
            self._talk(talker, port, until, rng)
        except (OSError, Gone) as error:
            talker.ended = getattr(error, "code", None)
            if not self.ending.is_set():
                self.round.fault(f"the socket of {talker.name} ended although the host ran on: {error!r}")
        except Fault as fault:
            self.round.fault(str(fault))
        except LeftOut:
            pass
        except Exception as error:  # A mistake of the check's own must not pass.
            self.round.fault(f"{talker.name}: {error!r}")

    def _open(self, talker: Talker, port: int, rng: random.Random) -> WebSocket:
        says = talker.session and rng.random() < 0.3  # with its first message what others say in the path
        resume = f"?session={talker.session}&since={talker.token}" if talker.session and not says else ""
        socket = WebSocket(port, "/v1/ws" + resume)
        hello = socket.receive(60 * patience())
        if says:
            socket.send({"type": "$resume", "session": talker.session, "since": talker.token})
            hello = socket.receive(60 * patience())
        if hello is None or hello["type"] != "$session":
            raise Fault(f"the first message to {talker.name} is {hello}")
        if talker.session and (hello["session"], hello["token"]) != (talker.session, talker.token):
            raise Fault(f"{talker.name} comes back to {talker.session} with token {talker.token}, and gets {hello}")
        talker.session = hello["session"]
        talker.lives += 1
        return socket

    def _look_back(self, talker: Talker, port: int, rng: random.Random) -> None:
        """A second socket of the session, from an old token on, gets the same to the letter; the first is not read meanwhile."""
        since = rng.randint(max(0, talker.token - 300), talker.token)
        socket = WebSocket(port, f"/v1/ws?session={talker.session}&since={since}")
        hello = socket.receive(60 * patience())
        if hello is None or (hello["type"], hello["token"], hello["resumed"]) != ("$session", since, True):
            raise Fault(f"{talker.name} looks back from token {since}, and gets {hello}")
        for token in range(since + 1, talker.token + 1):
            message = socket.receive(60 * patience())
            if message != talker.history[token] and message.get("type") != "$change":
                raise Fault(f"{talker.name} looks back and gets {message}, and got {talker.history[token]}")
            if message["token"] != token:
                raise Fault(f"{talker.name} looks back and gets {message} for token {token}")
        socket.close()

    def _talk(self, talker: Talker, port: int, until: float, rng: random.Random) -> None:
        socket = self._open(talker, port, rng)
        if talker.token and rng.random() < 0.5:
            self._look_back(talker, port, rng)
        if talker.hears and not talker.subscribed:
            wanted = {"outcome": "committed"}
            socket.send({"type": "$subscribe", "id": "s", "topics": ["room"], "keys": [{"store": "count", "key": "all"}],
                         "log": [{"trigger": "say", **wanted}], "executions": [{"trigger": "say", **wanted}]})
        for message in list(talker.open.values()):
            talker.again.add(message["id"])
            socket.send(message)
        while time.monotonic() < until or talker.open or talker.echoed < talker.sent:
            while time.monotonic() < until and len(talker.open) < rng.choice([1, 5, 50]):
                socket.send(talker.next(rng))
            if rng.random() < 0.002:
                self._look_back(talker, port, rng)
            is_last = time.monotonic() >= until
            message = socket.receive(60 * patience() if is_last else 0.05)
            if message is not None:
                talker.took(message, self.ending.is_set())
            elif is_last:
                raise Fault(f"{talker.name} waits for {len(talker.open)} acknowledgements, {talker.echoed} of "
                            f"{talker.sent} echoes came")
            if rng.random() < 0.002:  # A new socket in the middle of it.
                socket.close()
                socket = self._open(talker, port, rng)
                for message in list(talker.open.values()):
                    talker.again.add(message["id"])
                    socket.send(message)
        self._linger(talker, socket)

    def _linger(self, talker: Talker, socket: WebSocket) -> None:
        """Until the host ends."""
        while True:
            message = socket.receive(0.2)
            if message is not None:
                talker.took(message, self.ending.is_set())
            elif self.ending.is_set():
                message = socket.receive(30 * patience())
                if message is None:
                    raise Fault("a host that ends does not close its sockets")
                talker.took(message, self.ending.is_set())


def joined(round: Round, threads: list[threading.Thread], why: str) -> None:
    for thread in threads:
        thread.join(120 * patience())
        round.expect(not thread.is_alive(), f"a client still waits although {why}")


@check("sessions", limit=300, quick=True)
def sessions(round: Round) -> None:
    """WebSockets through kill -9: consecutive tokens, each echo once and in order, acknowledged is durable, rooms hear all."""
    rng = round.rng
    config = f"log: {{ checkpoint: {rng.choice(['200ms', '1s'])}, retain: all }}\nsessions: {{ messages: 1000000 }}\n"
    root = project(round.directory / "project", {"say": SAY, "count": COUNT}, config)
    room = Room(round)
    lives = 4 if round.quick else 10
    for _ in range(lives):
        host, port = listening(round, root, "--workers", str(rng.choice([1, 2, 4])))
        if Client(port).ask("GET", "/v1/ws").is_unknown_route:
            raise LeftOut("this trigger-host has no GET /v1/ws")
        threads = room.life(port, time.monotonic() + 600)
        time.sleep(rng.uniform(0.05, 0.6 if round.quick else 2.0))
        host.alive()
        room.ending.set()
        if rng.random() < 0.25:
            host.process.send_signal(signal.SIGTERM)
            time.sleep(rng.uniform(0, 0.25))
        host.kill()
        joined(round, threads, "its host was killed")
    host, port = listening(round, root)
    threads = room.life(port, time.monotonic() + 0.3)
    deadline = time.monotonic() + 120 * patience()
    while any(t.open or t.echoed < t.sent or not room.has_heard(t) for t in room.talkers) and time.monotonic() < deadline and not round.faults:
        time.sleep(0.05)
    time.sleep(0.3)
    room.ending.set()
    host.stop(20)
    joined(round, threads, "its host has ended")
    for talker in room.talkers:
        if talker.ended != 1001 and not round.faults:
            round.fault(f"the socket of {talker.name} ended with {talker.ended} when the host stopped")
        if not room.has_heard(talker):
            round.fault(f"{talker.name} heard {talker.rooms} and {talker.records}, sent were "
                        f"{ {other.name: other.sent for other in room.talkers} }")
    content = state(round, root / "data")
    wanted = {f"{t.name}-{n}": 1 for t in room.talkers for n in range(1, t.sent + 1)}
    if content.get("done") != wanted:
        got = content.get("done", {})
        wrong = [(key, got.get(key)) for key in sorted(set(wanted) | set(got)) if got.get(key) != wanted.get(key)]
        round.fault(f"{len(wrong)} messages did not run once: {wrong[:5]}")
    round.note(f"{lives} lives, {sum(t.sent for t in room.talkers)} messages, {sum(len(t.again) for t in room.talkers)} sent again")
