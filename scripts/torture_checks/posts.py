"""Events by HTTP through kill -9: senders send again with their keys; nothing is lost, nothing runs twice."""

from __future__ import annotations

import http.client
import json
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .kills import ECHO, TAKE, Line, check_business, check_log
from .process import export, outcome_of, project, seq_of, state, tool
from .rounds import Fault, LeftOut, Round, check, patience
from .web import Answer, Client, key_path, listening, missing, problem_fault

ONE, MANY = "POST /v1/events/{name}", "POST /v1/events"
VALUES, EXECUTIONS, LOG = "GET /v1/stores/{store}/{key}", "GET /v1/executions/{seq}", "GET /v1/log"
ROUTES = {
    ONE: ("POST", "/v1/events/probe"), MANY: ("POST", "/v1/events"), VALUES: ("GET", "/v1/stores"),
    EXECUTIONS: ("GET", "/v1/executions/1"), LOG: ("GET", "/v1/log?from=1"),
}
LINES = {"Content-Type": "application/x-ndjson"}
GONE = (OSError, http.client.HTTPException)  # What a client sees of a host that is killed.

# A CloudEvent has its number in `data`: attributes of a head are text.
TAKE_BY_HTTP = TAKE.replace("event.n", "n").replace(
    "execute = function(event, ctx)\n", "execute = function(event, ctx)\n    local n = event.data and event.data.n or event.n\n")


@dataclass
class Poster(Line):
    """A line of events whose sender posts them in one way: `one` each, `lines` of a body, `cloud` events."""

    way: str = "one"
    names: dict[int, str] = field(default_factory=dict)  # event ids that answers gave, by n

    def key(self, n: int) -> str:
        return f"{self.name}-{n}"

    def payload(self, n: int) -> dict[str, Any]:
        return {"line": self.name, "n": n, "id": self.key(n)}

    def cloud_event(self, n: int) -> dict[str, Any]:
        """A script finds the attributes beside `data`; `source` and `id` are the key. It is one event in every mode."""
        return {"specversion": "1.0", "type": "take", "source": f"/torture/{self.name}", "line": self.name,
                "id": self.key(n), "datacontenttype": "application/json", "data": {"n": n}}


class Posting:
    """All senders, over all lives of the host. What `kills` looks at has the names that it has there."""

    def __init__(self, round: Round, without: set[str]) -> None:
        self.round = round
        self.without = without
        self.loose_sent: set[str] = set()
        self.loose_acknowledged: set[str] = set()
        self.acknowledged = self.again = 0
        self.ending = threading.Event()
        ways = [("one", "committed")] * 3 + [("one", "accepted")] * 2
        if MANY not in without:
            ways += [("lines", "committed"), ("lines", "accepted"), ("cloud", "committed"), ("cloud", "accepted")]
        self.lines = [Poster(f"{way}-{wait}-{i}", wait, way=way) for i, (way, wait) in enumerate(ways)]

    def life(self, port: int, seconds: float) -> list[threading.Thread]:
        """Starts the senders; they end when these seconds are over and all is answered, or with the host."""
        self.ending.clear()
        until = time.monotonic() + seconds
        threads = []
        for line in self.lines:
            chance = random.Random(self.round.rng.random())
            threads.append(threading.Thread(target=self._guarded, args=(line, port, until, chance), daemon=True))
            threads[-1].start()
        return threads

    def _guarded(self, line: Poster, port: int, until: float, rng: random.Random) -> None:
        try:
            self._send(line, Client(port), until, rng)
        except GONE as error:
            if not self.ending.is_set():
                self.round.fault(f"the connection of {line.name} broke although the host ran on: {error!r}")
        except Fault as fault:
            self.round.fault(str(fault))
        except Exception as error:  # A mistake of the check's own must not pass.
            self.round.fault(f"{line.name}: {error!r}")

    def _send(self, line: Poster, client: Client, until: float, rng: random.Random) -> None:
        send = {"one": self._one, "lines": self._lines, "cloud": self._cloud}[line.way]
        if line.way == "one":
            for n in rng.sample(sorted(line.seqs), min(2, len(line.seqs))):
                self._repeat(line, n, client)
        while line.pending or time.monotonic() < until:
            if not line.pending:
                for _ in range(1 if line.way == "one" else rng.randint(1, 40)):
                    line.next()
            send(line, client, rng)

    # The ways to send

    def _one(self, line: Poster, client: Client, rng: random.Random) -> None:
        """Sometimes on two connections at once: both get the first one's answer."""
        n = min(line.pending)
        path, fields = f"/v1/events/take?wait={line.wait}", {"Idempotency-Key": line.key(n)}
        if rng.random() < 0.1:
            twin = Client(client.connection.port)
            body = json.dumps(line.payload(n)).encode()
            twin.connection.request("POST", path, body, {**fields, "Content-Type": "application/json"})
            answer = client.ask("POST", path, body, {**fields, "Content-Type": "application/json"})
            other = json.loads(twin.connection.getresponse().read())
            twin.close()
            self._took(line, n, answer.json, answer)
            if other.get("code") != "stopping" and other != answer.json:
                raise Fault(f"{line.key(n)}, sent twice at once, was answered {answer} and {other}")
        else:
            answer = client.ask("POST", path, line.payload(n), fields)
            self._took(line, n, answer.json, answer)
        if line.wait == "committed" and VALUES not in self.without and rng.random() < 0.2:
            self.there(line, n, client, "at once")

    def _lines(self, line: Poster, client: Client, rng: random.Random) -> None:
        """An answer counts as soon as its line is whole, whatever becomes of the connection."""
        ns = sorted(line.pending)[:200]
        texts = [json.dumps({"event": "take", "key": line.key(n), "payload": line.payload(n)}).encode() + b"\n" for n in ns]
        in_chunks = rng.random() < 0.5
        client.connection.request("POST", f"/v1/events?wait={line.wait}", iter(texts) if in_chunks else b"".join(texts),
                                  LINES, encode_chunked=in_chunks)
        response = client.connection.getresponse()
        if response.status != 200:
            content = response.read()
            self._is_ending(json.loads(content))
            raise Fault(f"{len(ns)} lines were answered {response.status} {content[:300]!r}")
        while (text := response.readline()).endswith(b"\n"):
            answer = json.loads(text)
            self._took(line, ns[answer["id"] - 1], answer, None)
        left = [n for n in ns if n in line.pending]
        if left and not self.ending.is_set():
            raise Fault(f"{len(left)} of {len(ns)} lines have no answer, such as {line.key(left[0])}")
        if left:
            raise ConnectionError("the host ends")

    def _cloud(self, line: Poster, client: Client, rng: random.Random) -> None:
        path = f"/v1/events?wait={line.wait}"
        mode, n = rng.choice(["batch", "structured", "binary"]), min(line.pending)
        event = line.cloud_event(n)
        if mode == "batch":
            return self._batch(line, client, path)
        if mode == "structured":
            body, fields = json.dumps(event).encode(), {"Content-Type": "application/cloudevents+json; charset=UTF-8"}
        else:
            body, type = json.dumps(event.pop("data")).encode(), event.pop("datacontenttype")
            fields = {"Content-Type": type, **{f"ce-{name}": value for name, value in event.items()}}
        answer = client.ask("POST", path, body, fields)
        self._took(line, n, answer.json, answer)

    def _batch(self, line: Poster, client: Client, path: str) -> None:
        ns = sorted(line.pending)[:100]
        body = json.dumps([line.cloud_event(n) for n in ns]).encode()
        answer = client.ask("POST", path, body, {"Content-Type": "application/cloudevents-batch+json"})
        self._is_ending(answer.json)
        if answer.status not in (200, 202) or len(answer.json) != len(ns):
            raise Fault(f"a batch of {len(ns)} CloudEvents was answered {answer}")
        for n, told in zip(ns, answer.json):
            self._took(line, n, told, None)

    # What came

    def _is_ending(self, told: Any) -> None:
        """What a host that ends does not take, it says; the next life gets it."""
        if isinstance(told, dict) and told.get("code") == "stopping" and self.ending.is_set():
            raise ConnectionError("the host ends")

    def _took(self, line: Poster, n: int, told: dict[str, Any], answer: Answer | None) -> None:
        self._is_ending(told)
        right = 202 if line.wait == "accepted" else 200
        if outcome_of(told) != line.wait or (answer and answer.status != right):
            raise Fault(f"{line.key(n)}, sent to be {line.wait}, was answered {answer or told}")
        line.pending.pop(n, None)
        line.seqs[n] = seq_of(told)
        line.names[n] = told["event_id"]
        self.acknowledged += 1

    def _repeat(self, line: Poster, n: int, client: Client) -> None:
        """What was answered comes again: the answer is the first one. Another body with its key is refused."""
        path, fields = f"/v1/events/take?wait={line.wait}", {"Idempotency-Key": line.key(n)}
        answer = client.ask("POST", path, line.payload(n), fields)
        self._is_ending(answer.json)
        if answer.json.get("event_id") != line.names[n] or seq_of(answer.json) != line.seqs[n]:
            raise Fault(f"{line.key(n)} was answered as event {line.names[n]}, seq {line.seqs[n]}; sent again: {answer}")
        other = client.ask("POST", path, {**line.payload(n), "more": 1}, fields)
        self._is_ending(other.json)
        if other.status != 422 or problem_fault(other):
            raise Fault(f"the key {line.key(n)} with another body was answered {other}")
        self.again += 1

    def there(self, line: Poster, n: int, client: Client, when: str) -> None:
        """What was answered `committed` is there for readers."""
        answer = client.get(key_path("done", line.key(n)))
        if answer.status == 503:
            return self._is_ending(answer.json)
        if answer.status != 200 or answer.json != 1:
            raise Fault(f"{line.key(n)} was answered committed, seq {line.seqs[n]}; {when} GET gives {answer}")


def one_life(round: Round, posting: Posting, root: Path, arguments: list[str]) -> None:
    """Starts a host, and kills it at a moment by chance, perhaps while it stops."""
    rng = round.rng
    host, port = listening(round, root, *arguments)
    if VALUES not in posting.without:
        client = Client(port)
        for line in posting.lines:
            for n in rng.sample(sorted(line.seqs), min(3, len(line.seqs))) if line.wait == "committed" else []:
                posting.there(line, n, client, "after the next start")
        client.close()
    threads = posting.life(port, 600)
    time.sleep(rng.uniform(0.02, 0.6 if round.quick else 2.0))
    host.alive()
    posting.ending.set()
    if rng.random() < 0.25:
        host.process.send_signal(signal.SIGTERM)
        time.sleep(rng.uniform(0, 0.25))
    host.kill()
    joined(round, threads, "its host was killed")


def joined(round: Round, threads: list[threading.Thread], why: str) -> None:
    for thread in threads:
        thread.join(60 * patience())
        round.expect(not thread.is_alive(), f"a client still waits although {why}")


def without(round: Round, root: Path) -> set[str]:
    """The routes that this host does not have."""
    host, port = listening(round, root)
    client = Client(port)
    gone = missing(client, ROUTES)
    client.close()
    host.stop()
    if ONE in gone:
        raise LeftOut(f"this trigger-host has no {ONE}")
    return gone


@check("http", limit=300, quick=True)
def posts(round: Round) -> None:
    """Events by POST through kill -9: committed is there, once, in order; repeats get the first answer; GET agrees with the log."""
    rng = round.rng
    config = f"durability: {rng.choice(['group', 'async'])}\n"
    config += f"log: {{ checkpoint: {rng.choice(['200ms', '1s'])}, retain: all }}\n"
    root = project(round.directory / "project", {"take": TAKE_BY_HTTP, "echo": ECHO}, config)
    posting = Posting(round, without(round, root))
    arguments = ["--workers", str(rng.choice([1, 2, 4]))]
    lives = 3 if round.quick else 8
    for _ in range(lives):
        one_life(round, posting, root, arguments)
    host, port = listening(round, root, *arguments)
    joined(round, posting.life(port, 0.3), "the host has all it needs to answer")
    host.stop(20)
    tool(round, "run", "--exit-when-idle", within=60, cwd=root).good()
    check_business(round, posting, state(round, root / "data"))  # type: ignore[arg-type]
    check_log(round, root / "data", posting, True)  # type: ignore[arg-type]
    reads(round, root, posting.without)
    round.note(f"{lives} lives, {posting.acknowledged} acknowledged, {posting.again} sent again, {config.splitlines()[0]}")
    if posting.without:
        round.note("not there: " + ", ".join(sorted(posting.without)))


# Reading

def reads(round: Round, root: Path, without: set[str]) -> None:
    """What GET gives of a host at rest is what the log says."""
    data = root / "data"
    content, records = state(round, data), export(round, data)
    to = round.rng.choice(records)["seq"]
    past = state(round, data, to)
    host, port = listening(round, root)
    client = Client(port)
    if VALUES not in without:
        keys = [(store, key) for store, values in content.items() for key in values]
        for store, key in round.rng.sample(keys, min(200, len(keys))):
            one_value(round, client, store, key, content[store][key])
        if not has_past(round, client, keys[0], to):
            without.add("?seq=N")
        else:
            for store, key in round.rng.sample(keys, min(40, len(keys))):
                past_value(round, client, store, key, to, past.get(store, {}))
    if EXECUTIONS not in without:
        for record in round.rng.sample(records, min(40, len(records))):
            answer = client.get(f"/v1/executions/{record['seq']}")
            if answer.status != 200 or any(answer.json.get(name) != record[name] for name in ("seq", "trigger", "outcome")):
                round.fault(f"seq {record['seq']} is {json.dumps(record)[:300]}; GET /v1/executions gives {answer}")
    if LOG not in without:
        answer = client.get("/v1/log?from=1", Accept="application/jsonl")
        got = [json.loads(line) for line in answer.body.splitlines()]
        ours, theirs = [[(each["seq"], each["outcome"]) for each in list] for list in (records, got)]
        if ours != theirs:
            round.fault(f"the log has {len(ours)} records to seq {ours[-1]}; GET /v1/log gives {len(theirs)}, {str(theirs[-1:])}")
    client.close()
    host.stop(20)


def one_value(round: Round, client: Client, store: str, key: str, value: Any) -> None:
    """The bare value, its version in the `ETag`, and nothing but that it is unchanged when the client has it."""
    answer = client.get(key_path(store, key))
    if answer.status != 200 or answer.json != value or type(answer.json) is not type(value):
        return round.fault(f"{store}/{key} is {value!r}; GET gives {answer}")
    tag = answer.fields.get("etag", "")
    if not tag.startswith('"') or not tag.endswith('"'):
        return round.fault(f"{store}/{key} has the ETag {tag!r}")
    again = client.get(key_path(store, key), If_None_Match=tag)
    if again.status != 304 or again.body:
        round.fault(f"{store}/{key} with If-None-Match: {tag}: {again}")


def has_past(round: Round, client: Client, key: tuple[str, str], seq: int) -> bool:
    return client.get(key_path(*key) + f"?seq={seq}").code != "bad_query"


def past_value(round: Round, client: Client, store: str, key: str, seq: int, past: dict[str, Any]) -> None:
    answer = client.get(key_path(store, key) + f"?seq={seq}")
    if key in past and (answer.status != 200 or answer.json != past[key]) or key not in past and answer.status != 404:
        round.fault(f"{store}/{key} is {past.get(key, 'not there')!r} at seq {seq}; GET with ?seq gives {answer}")
