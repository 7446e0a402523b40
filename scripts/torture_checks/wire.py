"""What no client should send, byte by byte: each is refused or handled with a right status, and nothing of it runs by mistake."""

from __future__ import annotations

import gzip
import json
import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .process import project, state, verify
from .rounds import Fault, Round, check, patience
from .web import Answer, Raw, listening, peak, problem_fault, request

MARK = """
return { on = { event = "mark" }, execute = function(event, ctx) return { ctx:store("marks"):add("n", 1) } end }
"""
# Runs only when bytes are taken for a request that are none, or what must be refused is not.
NEVER = """
return { on = { event = "never" }, execute = function(event, ctx) return { ctx:store("never"):add(event.by or "?", 1) } end }
"""

OK = (200, 202)
BAD = (400,)


@dataclass
class Case:
    """Bytes, and the statuses that the first answer may have. 0: the host may close without a word."""

    name: str
    sent: list[bytes]
    right: Iterable[int]
    closes: bool = False  # nothing may be answered after it
    half: bool = False  # the client ends its side: the rest of the message never comes
    to: str = "GET"  # the method, where an answer's form depends on it
    also: Callable[[Answer], str | None] = lambda _: None  # what is wrong with the answer beside its status


def mark(*fields: str, body: bytes = b"{}") -> bytes:
    return request("POST", "/v1/events/mark?wait=accepted", body, "Content-Type: application/json", *fields)


def post(target: str, body: bytes, *fields: str, **more: str) -> bytes:
    return request("POST", target, body, *(fields or ["Content-Type: application/json"]), **more)


def head(first: str, *fields: str) -> bytes:
    return ("\r\n".join([first, *fields]) + "\r\n\r\n").encode("latin-1")


def never(by: str) -> bytes:
    """A request that must not be taken for one."""
    return post("/v1/events/never?wait=accepted", b'{"by":"%s"}' % by.encode())


START, HOST, JSON = "POST /v1/events/never?wait=accepted HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"
MARK_10 = "POST /v1/events/mark?wait=accepted HTTP/1.0"
HEALTH = request("GET", "/healthz")


# Messages with two lengths, or none that is sure (RFC 9112, sections 6.1 to 6.3)

def framing() -> list[Case]:
    def case(name: str, *fields: str, body: bytes = b"", right: Iterable[int] = BAD) -> Case:
        return Case(name, [head(START, HOST, JSON, *fields) + (body or b"0\r\n\r\n") + never(name)], right, closes=True)

    chunked = "Transfer-Encoding: chunked"
    cases = [
        case("CL and TE", "Content-Length: 5", chunked),
        case("TE and CL", chunked, "Content-Length: 5"),
        case("CL 0 and TE", "Content-Length: 0", chunked),
        case("CL twice", "Content-Length: 5", "Content-Length: 6"),
        case("CL twice in another case", "Content-Length: 5", "content-length: 0"),
        case("CL in a list", "Content-Length: 5, 6"),
        case("TE of an unknown coding", "Transfer-Encoding: xchunked", right=(400, 501)),
        case("TE identity", "Transfer-Encoding: identity", right=(400, 501)),
        case("TE chunked, then another", "Transfer-Encoding: chunked, gzip", right=(400, 501)),
        case("TE chunked twice", "Transfer-Encoding: chunked, chunked", right=(400, 501)),
        case("TE with a tab and junk", "Transfer-Encoding:\tchunked\x0b", right=(400, 501)),
        case("TE with a blank before the colon", "Transfer-Encoding : chunked"),
        case("TE after a folded line", "X: y", " Transfer-Encoding: chunked", right=(400,)),
        case("a name with a blank", "Content Length: 5"),
        case("a field without a colon", "Content-Length 5"),
        case("no name", ": 5"),
        case("a NUL in a value", "X: a\0b"),
        case("a lone CR in a value", "X: a\rTransfer-Encoding: chunked"),
        case("a chunk without a size", chunked, body=b"\r\n{}\r\n0\r\n\r\n"),
        case("a chunk of a size in words", chunked, body=b"two\r\n{}\r\n0\r\n\r\n"),
        case("a chunk of a negative size", chunked, body=b"-2\r\n{}\r\n0\r\n\r\n"),
        case("a chunk of 0x2", chunked, body=b"0x2\r\n{}\r\n0\r\n\r\n"),
        case("a chunk of more than 64 bits", chunked, body=b"10000000000000002\r\n{}\r\n0\r\n\r\n", right=(400, 413)),
        case("a chunk that is longer than it says", chunked, body=b"2\r\n{}}}\r\n0\r\n\r\n"),
        # May be taken, but nothing after it (RFC 9112, section 6.1).
        Case("HTTP/1.0 with chunks", [head(MARK_10, HOST, JSON, chunked) + b"0\r\n\r\n" + never("HTTP/1.0")], (*OK, 400), closes=True),
    ]
    for length in ("+5", "-1", "0x5", "5 5", "5.0", "", "five", "99999999999999999999", "5\x0b", "\u00b2"):
        cases.append(case(f"CL of {length!r}", f"Content-Length: {length}", right=(400, 413)))
    return cases


# Heads

def heads() -> list[Case]:
    def first(line: str, right: Iterable[int], *fields: str, closes: bool = False) -> Case:
        return Case(line[:60], [head(line, *(fields or [HOST]))], right, closes)

    absent = (404, 405)
    return [
        first("get /healthz HTTP/1.1", (400, 404, 405, 501)),
        first("GET  /healthz HTTP/1.1", (200, 400)),  # A reader may take several blanks for one (RFC 9112, section 3).
        first("GET /healthz", (0, 400, 505)),
        first("GET /healthz HTTP/2.0", (400, 505)),
        first("GET /healthz HTTP/9.9", (400, 505)),
        first("GET /healthz HTP/1.1", BAD),
        first("GET /heal thz HTTP/1.1", BAD),
        first("GET /healthz\0 HTTP/1.1", BAD),
        first("GET healthz HTTP/1.1", BAD),
        first("GET /healthz#fragment HTTP/1.1", (200, 400, 404)),
        first("PRI * HTTP/2.0", (400, 505)),
        first("CONNECT 127.0.0.1:22 HTTP/1.1", (400, 404, 405, 501)),
        first("OPTIONS * HTTP/1.1", (200, 204, 400, 404, 405)),
        first("BREW /healthz HTTP/1.1", (400, 405, 501)),
        Case("TRACE", [head("TRACE /healthz HTTP/1.1", HOST, "X-Secret: torture")], (400, 404, 405, 501),
             also=lambda a: "TRACE sends the request back" if b"torture" in a.body else None),
        Case("DELETE of what can be read", [head("DELETE /healthz HTTP/1.1", HOST)], (405,), also=allows("GET")),
        Case("PUT of an event", [request("PUT", "/v1/events/never", b"{}", JSON)], (405,), also=allows("POST")),
        Case("GET of an event", [request("GET", "/v1/events/never")], (405,), also=allows("POST")),
        first("GET /nothing/here HTTP/1.1", (404,)),
        # Hosts (RFC 9112, section 3.2), and names of others that resolve to this machine
        first("GET /healthz HTTP/1.1", BAD, "X: no host"),
        first("GET /healthz HTTP/1.1", BAD, HOST, HOST),
        first("GET /healthz HTTP/1.1", BAD, HOST, "Host: evil.example"),
        *[Case(f"Host of {name!r}", [post("/v1/events/never", b'{"by":"host"}', host=name)], (400, 403, 421)) for name in (
            "evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1:80:80",
            "127.0.0.1@evil.example", "a b", "127.0.0.1/x", "", "[::1", "\xe9vil.example", "127.0.0.1\\", "0x7f.1.evil.example")],
        Case("a target of another host", [head("POST http://evil.example/v1/events/never HTTP/1.1", HOST, "Content-Length: 0")],
             (400, 403, 421)),
        Case("a target with its own host", [head("GET http://127.0.0.1/healthz HTTP/1.1", HOST)], (200,)),
        # Pages of others (RFC 6454)
        *[Case(f"Origin {origin}", [post("/v1/events/never", b'{"by":"origin"}', JSON, f"Origin: {origin}")], (403,))
          for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example", "http://localhost:1")],
        *[Case(f"a body of {type}", [post("/v1/events/never", b'{"by":"type"}', f"Content-Type: {type}")], (415,))
          for type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/xml", ";")],
        # Sizes
        Case("a head of 30,000 bytes", [request("GET", "/healthz", b"", *[f"X{i}: " + "x" * 290 for i in range(98)])], (200,)),
        Case("a field of 100 kB", [request("GET", "/healthz", b"", "X: " + "x" * 100_000)], (431,), closes=True),
        Case("10,000 fields", [request("GET", "/healthz", b"", *[f"X{i}: y" for i in range(10_000)])], (431,), closes=True),
        Case("a target of 100 kB", [request("GET", "/" + "x" * 100_000)], (414, 431), closes=True),
        Case("a field without end", [b"GET /healthz HTTP/1.1\r\nX: ", *[b"x" * 65536] * 64], (0, 431), closes=True),
        # Lines that end with LF alone may be lines (RFC 9112, section 2.2).
        Case("bare LF", [b"GET /healthz HTTP/1.1\nHost: 127.0.0.1\n\n"], (200, 400), half=True),
        Case("a blank line before", [b"\r\n" + HEALTH], (200, 400)),
        Case("another upgrade", [request("GET", "/healthz", b"", "Connection: Upgrade", "Upgrade: torture")], (200,)),
        Case("h2c", [request("GET", "/healthz", b"", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")],
             (200,)),
        Case("TLS", [bytes.fromhex("16030100f1010000ed0303") + b"\x5a" * 240], (0, 400), closes=True, half=True),
        Case("SSH", [b"SSH-2.0-OpenSSH_9.2\r\n" + never("ssh")], (0, 400), closes=True),
        Case("bytes by chance", [random.Random(7).randbytes(5000)], (0, 400), closes=True, half=True),
        Case("HTTP/1.0", [request("GET", "/healthz", version="1.0")], (200,), closes=True,
             also=lambda a: "HTTP/1.0 gets chunks" if "transfer-encoding" in a.fields else None),
        Case("HTTP/1.0 without a host", [b"GET /healthz HTTP/1.0\r\n\r\n"], (200, 400), closes=True),
        Case("HEAD", [request("HEAD", "/healthz") + HEALTH], (200, 405), to="HEAD"),
        Case("close, and more", [mark("Connection: close") + never("after close")], OK, closes=True),
        *[Case(f"another method by {how}", [request("GET", target, b"", *fields)], (400, 405)) for how, target, fields in (
            ("X-HTTP-Method-Override", "/v1/events/never", ["X-HTTP-Method-Override: POST"]),
            ("X-Method-Override", "/v1/events/never", ["X-Method-Override: POST"]),
            ("_method", "/v1/events/never?_method=POST", []))],
        Case("a read by override", [request("POST", "/healthz", b"{}", "X-HTTP-Method-Override: GET")], (405,), also=allows("GET")),
    ]


def allows(method: str) -> Callable[[Answer], str | None]:
    return lambda a: None if method in a.fields.get("allow", "") else f"405 with Allow: {a.fields.get('allow')}"


# Targets

def targets() -> list[Case]:
    def clean(answer: Answer) -> str | None:
        if "x-injected" in answer.fields or "set-cookie" in answer.fields:
            return f"a field of the answer comes from the request: {answer.fields}"
        return "the answer has a file of the machine" if b"root:" in answer.body else None

    refused = (400, 401, 403, 404)
    paths = ["/v1/stores/../../../../etc/passwd", "/v1/stores/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/v1/stores/..%2f..%2f..%2fetc%2fpasswd",
             "/..%2f..%2fetc/passwd", "//etc/passwd", "/etc/passwd", "/%2fetc%2fpasswd", "/v1/stores/..%5c..%5cetc/passwd", "/problems/..%2f..%2fetc%2fpasswd",
             "/v1/stores/%c0%ae%c0%ae/x", "/v1/stores/%00", "/v1/stores/%zz/x", "/v1/stores/%", "/v1/stores/%ff/%ff", "/v1/executions/../1",
             "/v1/stores/x%0d%0aX-Injected:%20yes", "/v1/stores/x/y%0d%0aSet-Cookie:%20a=b", "/problems/x%0aX-Injected:%20yes"]
    cases = [Case(path, [request("GET", path)], refused, also=clean) for path in paths]
    # A slash, plain or not, is part of an event's name; none of these names is `never`.
    names = ["a%2Fb", "a/b", "..%2fnever", "x%2f..%2fnever", "never%00", "never%0d%0aX-Injected:%20yes", "%6eever%2f", "NEVER"]
    cases += [Case(f"event {name}", [post(f"/v1/events/{name}?wait=accepted", b'{"by":"name"}')], (*OK, *refused), also=clean)
              for name in names]
    cases += [Case(f"event of {name}", [post(f"/v1/events/{name}", b'{"by":"name"}')], refused, also=clean)
              for name in ("%ff", "%c0%80", "%zz", "%")]
    queries = ["wait=never", "wait=accepted&wait=committed", "priority=urgent", "wiat=accepted", "wait=accepted%0d%0aX-Injected:%20yes",
               "wait=%ff", "wait=%zz", "wait", "wait="]
    cases += [Case(f"?{query}", [post(f"/v1/events/never?{query}", b'{"by":"query"}')], BAD, also=clean) for query in queries]
    cases += [Case(f"Idempotency-Key of {what}", [post("/v1/events/never?wait=accepted", b'{"by":"key"}', JSON, f"Idempotency-Key: {key}")], BAD)
              for what, key in (("5,000 bytes", "k" * 5000), ("nothing", ""), ("bytes that are no text", "\xff\xfe"))]
    return cases


# Bodies

def bodies() -> list[Case]:
    def told(name: str, body: bytes, right: Iterable[int] = BAD, *fields: str) -> Case:
        return Case(name, [post("/v1/events/never?wait=accepted", body, JSON, *fields)], right)

    return [
        told("brackets without end", b"[" * 500_000),
        told("100,000 deep", b"[" * 100_000 + b"]" * 100_000),
        told("objects 65 deep", b'{"a":' * 65 + b"1" + b"}" * 65),
        told("a key twice", b'{"by":"one","by":"two"}'),
        told("a key twice, once in escapes", b'{"by":"one","b\\u0079":"two"}'),
        *[told(f"text of {text!r}", b'{"by":"%s"}' % text) for text in (
            b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"caf\xe9", b"\\ud800", b"\\udc00\\ud800", b"\0", b"\n", b"\\x")],
        told("a name that is no text", b'{"\xff":1}'),
        *[told(f"JSON of {text!r}", text) for text in (
            b"{", b"}", b"{} {}", b"{}x", b'{"a":NaN}', b'{"a":Infinity}', b'{"a":01}', b'{"a":+1}', b'{"a":.5}', b"{'a':1}", b'{"a":1,}',
            b"[1,]", b"// x\n{}", b'{"a":0x1}', b"nul", b'{"a":tru}', b'"', b"\xff\xfe{\0}\0", b"{}\0")],
        told("gzip", gzip.compress(b" " * 50_000_000), (400, 413, 415), "Content-Encoding: gzip"),
        told("a byte more than 1 MiB", b'"' + b"x" * ((1 << 20) - 1) + b'"', (413,)),
        told("2 MiB", b'"' + b"x" * (2 << 20) + b'"', (413,)),
        Case("a million bytes", [mark(body=b'"' + b"x" * 1_000_000 + b'"')], OK),
        Case("a length of 64 GB", [head(START, HOST, JSON, "Content-Length: 68719476736"), b"[1,"], (413,), closes=True),
        Case("chunks without end", [head(START, HOST, JSON, "Transfer-Encoding: chunked"), *[b"10000\r\n" + b" " * 65536 + b"\r\n"] * 200],
             (413,), closes=True),
        Case("an extension of a chunk without end", [head(START, HOST, JSON, "Transfer-Encoding: chunked"), b"2;", *[b"x" * 65536] * 64],
             (0, 400, 413, 431), closes=True, half=True),
        Case("trailers without end", [head(START, HOST, JSON, "Transfer-Encoding: chunked"), b"0\r\n", *[b"X: " + b"x" * 60000 + b"\r\n"] * 64],
             (0, 400, 413, 431), closes=True, half=True),
        Case("chunks", [head(START.replace("never", "mark"), HOST, JSON, "Transfer-Encoding: chunked"), b"1\r\n{\r\n1;a=b\r\n}\r\n0\r\nX: y\r\n\r\n"], OK),
        # Longer and shorter than said
        Case("a body longer than said", [mark(body=b"{}") + b'{"by":"longer"}\r\n'], OK, closes=True),
        Case("a body shorter than said", [head(START, HOST, JSON, "Content-Length: 100") + b'{"by":"shorter"}'], (0, 400, 408), closes=True, half=True),
        Case("chunks that break off", [head(START, HOST, JSON, "Transfer-Encoding: chunked") + b'10\r\n{"by":"shorter"}\r\n'], (0, 400, 408), closes=True, half=True),
        Case("a chunk that breaks off", [head(START, HOST, JSON, "Transfer-Encoding: chunked") + b'20\r\n{"by":"shorter"}'], (0, 400, 408), closes=True, half=True),
        Case("no body", [post("/v1/events/mark?wait=accepted", b"", JSON, "Content-Length: 0")], (*OK, 400)),
        Case("100-continue of 64 GB", [head(START, HOST, JSON, "Content-Length: 68719476736", "Expect: 100-continue")], (413, 417), closes=True, half=True),
        Case("another expectation", [mark("Expect: 200-ok")], (*OK, 417)),
    ]


# Trying them

def tried(round: Round, port: int, case: Case) -> None:
    """Sends a case, in one go or cut anywhere, and looks at what comes; the next request is answered."""
    try:
        with Raw(port) as raw:
            raw.send(*cut(round.rng, case.sent))
            if case.half:
                raw.end()
            answer = raw.answer(case.to)
            wrong = judged(case, answer)
            if answer and not wrong:
                wrong = afterwards(case, raw, answer)
    except (Fault, OSError, ValueError) as error:
        wrong = f"{type(error).__name__}: {error}"
    if wrong:
        round.fault(f"{case.name}: {wrong}")
    healthy(port, case.name)


def cut(rng: random.Random, pieces: list[bytes]) -> list[bytes]:
    if len(pieces) > 1 or len(pieces[0]) < 2 or rng.random() < 0.5:
        return pieces
    at = rng.randrange(1, len(pieces[0]))
    return [pieces[0][:at], pieces[0][at:]]


def judged(case: Case, answer: Answer | None) -> str | None:
    statuses = tuple(case.right)
    if answer is None:
        return None if 0 in statuses else f"the connection was closed without an answer, due was {statuses}"
    if answer.status not in statuses:
        return f"{answer}, due was {statuses}"
    if answer.repeated:
        return f"{answer.repeated} more than once in an answer"
    if answer.status >= 400 and case.to != "HEAD" and (wrong := problem_fault(answer)):
        return wrong
    return case.also(answer)


def afterwards(case: Case, raw: Raw, answer: Answer) -> str | None:
    """On the same connection: nothing but refusals and the end, or the next request's answer."""
    says_close = answer.fields.get("connection", "").lower() == "close"
    if case.closes or says_close:
        more = [each for each in raw.rest() if each.status not in (400, 408)]
        return f"after {answer.status} came {more[0]}: bytes of one message were taken for another" if more else None
    if case.half:
        return None
    raw.send(HEALTH)
    following = raw.answer()
    if following is None or following.status != 200:
        return f"after {answer.status}, without `Connection: close`, the next request was answered {following}"
    return None


def healthy(port: int, after: str) -> None:
    try:
        with Raw(port) as raw:
            raw.send(HEALTH)
            answer = raw.answer()
    except OSError as error:
        raise Fault(f"after '{after}' the host does not answer: {error}") from None
    if answer is None or answer.status != 200:
        raise Fault(f"after '{after}' the health of the host is {answer}")


def continued(round: Round, port: int) -> None:
    """A client that waits for 100 gets it, and then its answer."""
    with Raw(port) as raw:
        raw.send(head(START.replace("never", "mark"), HOST, JSON, "Content-Length: 2", "Expect: 100-continue"))
        interim = raw.interim()
        if interim is None or interim.status != 100:
            return round.fault(f"Expect: 100-continue was answered {interim}")
        raw.send(b"{}")
        answer = raw.answer()
        if answer is None or answer.status != 202:
            round.fault(f"after 100 Continue the answer is {answer}")


def pipelined(round: Round, port: int) -> None:
    """Many requests at once: as many answers, in order."""
    kinds = {200: HEALTH, 404: request("GET", "/nothing/here"), 202: mark(), 415: post("/v1/events/never", b"{}", "Content-Type: text/xml")}
    due = [round.rng.choice([200, 404, 202]) for _ in range(100)] + [200]
    with Raw(port) as raw:
        raw.send(b"".join(kinds[status] for status in due))
        got = []
        while len(got) < len(due) and (answer := raw.answer()):
            got.append(answer.status)
    if got != due:
        round.fault(f"{len(due)} requests in one go were answered {got}, due was {due}")


def many_lines(round: Round, port: int) -> None:
    """Lines that are no events are refused one by one; those between them run."""
    bad = [b'{"a":', b'{"x":"\xff"}', b"[" * 70_000, b'{"a":1,"a":2}', b'"' + b"x" * (3 << 20) + b'"', b'{"a":"\\ud800"}', b"\0", b"\xef\xbb\xbf{}"]
    lines: list[bytes] = []
    for each in bad:
        lines += [b'{"good":true}', each, b"", b" \r"]
    numbers = {n for n, line in enumerate(lines, 1) if line.strip()}
    body = b"\n".join(lines)
    with Raw(port) as raw:
        raw.send(post("/v1/events/mark?wait=committed", body, "Content-Type: application/jsonl"))
        answer = raw.answer()
    if answer is None or answer.status != 200:
        return round.fault(f"lines were answered {answer}")
    told = {each["id"]: each for each in map(json.loads, answer.body.splitlines())}
    if set(told) != numbers:
        return round.fault(f"{len(numbers)} lines, answers came for {sorted(told)}, due was {sorted(numbers)}")
    for n, line in enumerate(lines, 1):
        if n in told and ("error" in told[n]) is (line == b'{"good":true}'):
            round.fault(f"line {n}, {line[:40]!r}, was answered {told[n]}")


# What comes slowly

class Slow:
    """Clients that let the host wait, each in its thread beside all the others' cases."""

    def __init__(self, round: Round, port: int) -> None:
        self.round = round
        begun = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "
        ways = {"a head that stops": (begun, b""), "a head of a byte a second": (begun, b"x"), "a blank line a second": (b"", b"\r\n")}
        if not round.quick:
            ways["a body that stops"] = (head(START, HOST, JSON, "Content-Length: 10") + b"{", b"")
            ways["chunks that stop"] = (head(START, HOST, JSON, "Transfer-Encoding: chunked") + b"1\r\n{", b"")
        self.threads = [threading.Thread(target=self.wait, args=(port, name, *way), daemon=True) for name, way in ways.items()]
        for thread in self.threads:
            thread.start()

    def wait(self, port: int, name: str, first: bytes, then: bytes) -> None:
        """The host says 408 or closes within a minute or two, however slowly bytes come."""
        start, bound = time.monotonic(), 120 * patience()
        try:
            with Raw(port) as raw:
                raw.send(first)
                raw.socket.settimeout(1)
                while time.monotonic() - start < bound:
                    try:
                        answer = raw.answer()
                    except TimeoutError:
                        raw.send(then)
                        continue
                    if answer and (answer.status != 408 or problem_fault(answer)):
                        self.round.fault(f"{name}: {answer}")
                    return
                self.round.fault(f"{name}: the host still waits after {bound:.0f} s")
        except (Fault, OSError) as error:
            self.round.fault(f"{name}: {error!r}")

    def join(self) -> None:
        for thread in self.threads:
            thread.join(150 * patience())


# By chance

def mutated(round: Round, port: int, count: int) -> None:
    """Good requests with bytes changed, taken out, doubled: an answer by the rules, or the end; nothing of the host's own failing."""
    rng = round.rng
    bases = [mark(), HEALTH, mark("Expect: 100-continue", "Idempotency-Key: \"k\""), request("GET", "/readyz?x=1"),
             post("/v1/events?wait=accepted", b'{"event":"mark"}\n{"event":"mark","key":"k"}\n', "Content-Type: application/jsonl"),
             head(START.replace("never", "mark"), HOST, JSON, "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
             post("/v1/events", b'{"specversion":"1.0","type":"mark","source":"/s","id":"1"}', "Content-Type: application/cloudevents+json")]
    for _ in range(count):
        text = bytearray(rng.choice(bases) + rng.choice(bases))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(text))
            how = rng.randrange(4)
            if how == 0:
                text[at] = rng.choice([0, 9, 10, 13, 32, 34, 37, 44, 47, 58, 59, 127, 255, rng.randrange(256)])
            elif how == 1:
                del text[at:at + rng.randint(1, 8)]
            elif how == 2:
                text[at:at] = text[at:at + rng.randint(1, 40)]
            else:
                text[at:at] = rng.choice([b"\r\n", b"\r", b"\n", b"\0", b" ", b":", b"%", b"%00", b"0", b"99999999999"])
        try:
            with Raw(port) as raw:
                raw.send(bytes(text))
                raw.end()
                for answer in raw.rest():
                    if answer.status >= 500 and answer.status not in (501, 505):
                        raise Fault(f"answered {answer}")
                    if answer.status >= 400 and (wrong := problem_fault(answer)) and not bytes(text).startswith(b"HEAD"):
                        raise Fault(wrong)
        except (Fault, OSError, ValueError) as error:
            round.fault(f"{bytes(text)!r}: {error}")
        healthy(port, repr(bytes(text)))


@check("wire", limit=400, quick=True)
def wire(round: Round) -> None:
    """Smuggling, foreign hosts and origins, huge and slow heads, bad JSON, wrong lengths: refused or handled rightly; none runs by mistake."""
    root = project(round.directory / "project", {"mark": MARK, "never": NEVER}, "durability: async\n")
    host, port = listening(round, root)
    slow = Slow(round, port)
    cases = framing() + heads() + targets() + bodies()
    round.rng.shuffle(cases)
    for case in cases:
        tried(round, port, case)
        host.alive()
    continued(round, port)
    pipelined(round, port)
    many_lines(round, port)
    mutations = 150 if round.quick else 5000
    mutated(round, port, mutations)
    slow.join()
    host.alive()
    memory = peak(host)
    host.stop(20)
    ran = state(round, root / "data").get("never", {})
    if ran:
        round.fault(f"requests that must be refused, or were none, ran: {ran}")
    verify(round, root / "data")
    round.note(f"{len(cases)} cases, {mutations} by chance, {memory:.0f} MB at most")
