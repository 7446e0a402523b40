"""Hosts that listen, and clients that share nothing with them: Python's own for good requests, raw sockets for the rest."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .process import Host, tool
from .rounds import Fault, LeftOut, Round, patience

ADDRESS = re.compile(r"http://(127\.0\.0\.1|localhost):(\d+)")
PROBLEM = "application/problem+json"
PAGE = Path(__file__).resolve().parents[2] / "Sources/TriggerHost/Documentation.docc/HTTP.md"


@cache
def documented() -> dict[str, int]:
    """Codes of refusals and their statuses, as the page lists them."""
    text = PAGE.read_text() if PAGE.exists() else ""
    return {code: int(status) for code, status in re.findall(r"^\| `([a-z_]+)` \| (\d{3}) \|", text, re.MULTILINE)}


def listening(round: Round, root: Path, *arguments: object) -> tuple[Host, int]:
    """A host that takes requests, and its port as it says it on standard error."""
    if "--listen" not in tool(round, "run", "--help").out:
        raise LeftOut("this trigger-host does not know `run --listen`")
    host = Host(round, root, arguments=["--listen", "127.0.0.1:0", *arguments], stdin=False)
    return host, port_of(host)


def port_of(host: Host, within: float = 30) -> int:
    deadline = time.monotonic() + within * patience()
    while time.monotonic() < deadline:
        for line in list(host.words):
            if found := ADDRESS.search(line):
                return int(found[2])
        host.alive()
        time.sleep(0.005)
    raise Fault(f"the host did not say where it listens; it said: {host.last_words()}")


# Good requests

@dataclass
class Answer:
    """An answer to a request, whole."""

    status: int
    fields: dict[str, str]  # by name in small letters
    body: bytes
    version: str = "HTTP/1.1"
    repeated: list[str] = field(default_factory=list)  # names of fields that came more than once

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The code of a problem document; nil when it is none."""
        if self.fields.get("content-type", "").split(";")[0] != PROBLEM:
            return None
        return str(self.json.get("code"))

    @property
    def is_unknown_route(self) -> bool:
        return self.status == 404 and self.code == "not_found"

    def __str__(self) -> str:
        return f"{self.status} {self.body[:300].decode(errors='replace')}"


class Client:
    """One connection that is kept. Errors of the connection are Python's: OSError, http.client.HTTPException."""

    def __init__(self, port: int, timeout: float = 30) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout * patience())

    def ask(self, method: str, path: str, body: Any = None, fields: Mapping[str, str] | None = None) -> Answer:
        """A body that is no bytes is sent as JSON."""
        head = dict(fields or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body, separators=(",", ":")).encode()
            head.setdefault("Content-Type", "application/json")
        self.connection.request(method, path, body, head)
        response = self.connection.getresponse()
        content = response.read()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def get(self, path: str, **fields: str) -> Answer:
        return self.ask("GET", path, None, {name.replace("_", "-"): value for name, value in fields.items()})

    def close(self) -> None:
        self.connection.close()


def key_path(store: str, key: str) -> str:
    return f"/v1/stores/{quote(store, safe='')}/{quote(key, safe='')}"


def missing(client: Client, routes: Mapping[str, tuple[str, str]]) -> set[str]:
    """Which of these routes, {name: (method, path)}, the host does not have."""
    return {name for name, (method, path) in routes.items() if client.ask(method, path).is_unknown_route}


def problem_fault(answer: Answer) -> str | None:
    """What is wrong with a refusal as a problem document (RFC 9457)."""
    if answer.fields.get("content-type", "").split(";")[0] != PROBLEM:
        return f"a refusal that is no problem document: {answer.fields.get('content-type')}, {answer}"
    try:
        document = answer.json
    except ValueError as error:
        return f"a problem document that is no JSON ({error}): {answer}"
    for name in ("type", "code", "title"):
        if not isinstance(document.get(name), str) or not document[name]:
            return f"a problem document without '{name}': {answer}"
    if document.get("status") != answer.status:
        return f"a problem document whose status is not {answer.status}: {answer}"
    if documented() and documented().get(document["code"]) != answer.status:
        return f"a refusal that the page does not list: {answer}"
    return None


# Raw bytes

class Raw:
    """A connection on which anything may be sent; reads answers by the rules of RFC 9112, strictly."""

    def __init__(self, port: int, timeout: float = 10) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout * patience())
        self.buffer = b""
        self.is_over = False

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *pieces: bytes) -> bool:
        """False when the host does not take more: it has closed."""
        try:
            for piece in pieces:
                self.socket.sendall(piece)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def end(self) -> None:
        """Nothing more is sent; answers are still read."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def answer(self, to: str = "GET") -> Answer | None:
        """The next answer; nil when the host has closed instead. Interim ones are passed over."""
        while True:
            head = self._until(b"\r\n\r\n")
            if head is None:
                return None
            answer = self._head(head)
            if answer.status >= 200:
                break
        if to != "HEAD" and answer.status not in (204, 304):
            answer.body = self._body(answer)
        return answer

    def interim(self) -> Answer | None:
        """The next head, whatever its status, without a body."""
        head = self._until(b"\r\n\r\n")
        return None if head is None else self._head(head)

    def rest(self, limit: int = 50) -> list[Answer]:
        """The answers until the host closes."""
        answers: list[Answer] = []
        while len(answers) < limit and (answer := self.answer()) is not None:
            answers.append(answer)
        return answers

    # Reading

    def _head(self, head: bytes) -> Answer:
        lines = head.decode("latin-1").split("\r\n")
        first = re.fullmatch(r"(HTTP/1\.[01]) (\d{3}) [^\r\n]*", lines[0])
        if not first:
            raise Fault(f"an answer begins with {lines[0][:200]!r}")
        answer = Answer(int(first[2]), {}, b"", first[1])
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(r"[\x00-\x08\x0a-\x1f]", value):
                raise Fault(f"an answer has the field {line[:200]!r}")
            if name.lower() in answer.fields:
                answer.repeated.append(name.lower())
            answer.fields[name.lower()] = value.strip()
        return answer

    def _body(self, answer: Answer) -> bytes:
        if "transfer-encoding" in answer.fields:
            if "content-length" in answer.fields:
                raise Fault(f"an answer has both Content-Length and Transfer-Encoding: {answer.fields}")
            return self._chunks()
        if "content-length" in answer.fields:
            return self._exactly(int(answer.fields["content-length"]))
        while self._more():
            pass
        body, self.buffer = self.buffer, b""
        return body

    def _chunks(self) -> bytes:
        body = b""
        while True:
            size = self._until(b"\r\n")
            if size is None:
                raise Fault(f"an answer ends in the middle of its chunks, after {body[-100:]!r}")
            length = int(size.split(b";")[0], 16)
            chunk = self._exactly(length + 2)
            if length == 0:
                return body
            body += chunk[:-2]

    def _exactly(self, length: int) -> bytes:
        while len(self.buffer) < length:
            if not self._more():
                raise Fault(f"an answer ends {length - len(self.buffer)} bytes early")
        piece, self.buffer = self.buffer[:length], self.buffer[length:]
        return piece

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self.buffer:
            if not self._more():
                if self.buffer:
                    raise Fault(f"an answer ends in the middle of a line: {self.buffer[:200]!r}")
                return None
        piece, _, self.buffer = self.buffer.partition(mark)
        return piece

    def _more(self) -> bool:
        """False at the end."""
        if self.is_over:
            return False
        try:
            piece = self.socket.recv(65536)
        except ConnectionResetError:
            piece = b""
        self.buffer += piece
        self.is_over = not piece
        return bool(piece)


def request(method: str, target: str, body: bytes = b"", *fields: str, host: str = "127.0.0.1", version: str = "1.1") -> bytes:
    """The bytes of a request; `fields` are whole lines."""
    lines = [f"{method} {target} HTTP/{version}", f"Host: {host}", *fields]
    if body:
        lines += [f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def percentile(times: Sequence[float], share: float) -> float:
    """In milliseconds."""
    return 1000 * sorted(times)[min(len(times) - 1, int(share * len(times)))]


def peak(host: Host) -> float:
    """The most memory that it has had, in MB."""
    line = next(line for line in Path(f"/proc/{host.process.pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1000
