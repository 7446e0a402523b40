"""Real `trigger-host` processes: one that runs and is spoken to over its pipes, and tools that end by themselves."""

from __future__ import annotations

import json
import os
import queue
import resource
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .rounds import Fault, Round, patience

# A Swift trap is SIGILL or SIGTRAP, a C crash SIGSEGV, SIGBUS or SIGABRT; a shell would say 128 and the number.
CRASHES = {signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGSEGV, signal.SIGFPE}


def crashed(code: int | None) -> bool:
    return code is not None and (-code in CRASHES or code - 128 in CRASHES)


def children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@dataclass
class Ended:
    """A tool that has ended."""

    command: str
    code: int
    out: str
    err: str
    seconds: float
    cpu: float  # seconds

    @property
    def words(self) -> str:
        """What it said, for messages: its last lines."""
        said = (self.err.strip() + "\n" + self.out.strip()).strip()
        return " | ".join(said.splitlines()[-4:])[-600:]

    def good(self) -> Ended:
        if self.code != 0:
            raise Fault(f"`{self.command}` ended with {self.code}: {self.words}")
        return self

    def json(self) -> Any:
        return json.loads(self.good().out)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.good().out.splitlines()]


def tool(round: Round, *arguments: object, within: float = 60, cwd: Path | None = None, stdin: bytes = b"") -> Ended:
    """Runs a command of the host to its end. That it crashes or hangs is a fault whatever the caller asks."""
    command = " ".join(["trigger-host", *(str(a) for a in arguments)])
    within *= patience()
    start, cpu = time.monotonic(), children_cpu()
    child = round.spawn(
        round.options.host, *arguments, cwd=cwd or round.directory,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    try:
        out, err = child.communicate(stdin, timeout=within)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        raise Fault(f"`{command}` did not end within {within:g} s") from None
    ended = Ended(command, child.returncode, out.decode(errors="replace"), err.decode(errors="replace"),
                  time.monotonic() - start, children_cpu() - cpu)
    if crashed(child.returncode):
        raise Fault(f"`{command}` crashed ({child.returncode}): {ended.words}")
    return ended


class Host:
    """A `trigger-host run --stdin --serve` on a project directory. Answers are gathered while it runs.

    Standard output has answers and nothing else; what the host says comes on standard error.
    """

    def __init__(
        self, round: Round, project: Path, *, arguments: Sequence[object] = (), stdin: bool = True,
        read_out: bool = True, read_err: bool = True, merged: bool = False, env: Mapping[str, str] | None = None,
        answer_pause: float = 0,
    ) -> None:
        self.round = round
        self.answers: dict[int, dict[str, Any]] = {}
        self.repeated: list[dict[str, Any]] = []
        self.words: deque[str] = deque(maxlen=500)
        self.sent = 0
        self.answer_pause = answer_pause
        self.merged = merged
        self._changed = threading.Condition()
        self._outgoing: queue.Queue[bytes | None] = queue.Queue()
        command: list[object] = [round.options.host, "run", *arguments]
        if stdin:
            command += ["--stdin", "--serve"]
        self.process = round.spawn(
            *command, cwd=project, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE, env={**os.environ, **(env or {})},
        )
        self.started = time.monotonic()
        if read_out:
            self._thread(self._read_answers)
        if read_err and not merged:
            self._thread(self._read_words)
        if stdin:
            self._thread(self._write)

    # What goes in

    def send(self, *events: Mapping[str, Any] | bytes) -> list[int]:
        """Hands lines to the writer, without waiting for the host to read them; gives their ids, the line numbers."""
        lines = [e if isinstance(e, bytes) else json.dumps(e, separators=(",", ":")).encode() for e in events]
        first = self.sent + 1
        self.sent += len(lines)
        self._outgoing.put(b"\n".join(lines) + b"\n")
        return list(range(first, self.sent + 1))

    def close_stdin(self) -> None:
        self._outgoing.put(None)

    # What comes out

    def await_answers(self, ids: Iterable[int], within: float = 30) -> list[dict[str, Any]]:
        """The answers to these ids, in their order."""
        wanted = list(ids)
        within *= patience()
        deadline = time.monotonic() + within
        with self._changed:
            while True:
                missing = [i for i in wanted if i not in self.answers]
                if not missing:
                    return [self.answers[i] for i in wanted]
                left = deadline - time.monotonic()
                if left <= 0 or self.process.poll() is not None:
                    gone = "" if self.process.poll() is None else f"; the host ended with {self.process.poll()}"
                    raise Fault(f"{len(missing)} of {len(wanted)} events have no answer after {within:g} s"
                                f" (first: line {missing[0]}){gone}; it said: {self.last_words()}")
                self._changed.wait(min(left, 0.2))

    def ask(self, *events: Mapping[str, Any] | bytes, within: float = 30) -> list[dict[str, Any]]:
        return self.await_answers(self.send(*events), within)

    def answered(self) -> dict[int, dict[str, Any]]:
        with self._changed:
            return dict(self.answers)

    def said(self, text: str) -> bool:
        return any(text in line for line in list(self.words))

    def last_words(self, lines: int = 4) -> str:
        return " | ".join(list(self.words)[-lines:])[-800:]

    # How it ends

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._drain()

    def stop(self, within: float = 12, code: int = 0, by: signal.Signals = signal.SIGTERM) -> float:
        """SIGTERM or another signal, once it has come so far as to say something; gives the seconds until it ended."""
        while not self.words and not self.answers and time.monotonic() - self.started < 20 and self.process.poll() is None:
            time.sleep(0.01)
        start = time.monotonic()
        self.process.send_signal(by)
        return self.await_end(within, code, by.name, start)

    def await_end(self, within: float, code: int | None, cause: str, start: float | None = None) -> float:
        within *= patience()
        start = time.monotonic() if start is None else start
        try:
            got = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Fault(f"the host was still there {within:g} s after {cause}; it said: {self.last_words()}") from None
        seconds = time.monotonic() - start
        self._drain()
        if crashed(got):
            raise Fault(f"the host crashed ({got}) after {cause}; it said: {self.last_words()}")
        if code is not None and got != code:
            raise Fault(f"the host ended with {got} after {cause}, not {code}; it said: {self.last_words()}")
        return seconds

    def cpu(self) -> float:
        """Seconds of CPU time it has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def alive(self) -> None:
        """That it is gone without being asked is a fault."""
        code = self.process.poll()
        if code is not None:
            raise Fault(f"the host ended with {code} by itself; it said: {self.last_words(8)}")

    # Threads

    def _thread(self, body: Any) -> None:
        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        self.__dict__.setdefault("_threads", []).append((body, thread))

    def _drain(self) -> None:
        """Waits until the readers have seen the end of their pipes."""
        self._outgoing.put(None)
        for body, thread in self.__dict__.get("_threads", []):
            if body != self._write:
                thread.join(5 if not self.answer_pause else 0.1)

    def _read_answers(self) -> None:
        assert self.process.stdout
        for raw in self.process.stdout:
            text = raw.decode(errors="replace").rstrip("\n")
            answer = None
            if text.startswith("{"):
                try:
                    answer = json.loads(text)
                except ValueError:
                    pass
            with self._changed:
                if isinstance(answer, dict) and "id" in answer:
                    if answer["id"] in self.answers:
                        self.repeated.append(answer)
                    self.answers[answer["id"]] = answer
                    self._changed.notify_all()
                else:
                    self.words.append(text)
                    # A host that is killed may leave the beginning of an answer.
                    if not self.merged and not text.startswith("{"):
                        self.round.fault(f"standard output has more than answers: {text[:200]!r}")
            if self.answer_pause:
                time.sleep(self.answer_pause)

    def _read_words(self) -> None:
        assert self.process.stderr
        for raw in self.process.stderr:
            self.words.append(raw.decode(errors="replace").rstrip("\n"))

    def _write(self) -> None:
        assert self.process.stdin
        try:
            while (data := self._outgoing.get()) is not None:
                self.process.stdin.write(data)
                self.process.stdin.flush()
            self.process.stdin.close()
        except (BrokenPipeError, ValueError, OSError):
            pass


# What tools say about a data directory

def export(round: Round, data: Path, *more: object, within: float = 120) -> list[dict[str, Any]]:
    return tool(round, "log", "export", "--data", data, *more, within=within).lines()


def state(round: Round, data: Path, to: int | None = None, within: float = 120) -> dict[str, dict[str, Any]]:
    """{store: {key: value}} right after a seq, the newest by default."""
    upto = [] if to is None else ["--to", to]
    return tool(round, "replay", "--data", data, *upto, "--json", within=within).json()


def verify(round: Round, data: Path, within: float = 120) -> None:
    """Checksums of the log, and history executed again."""
    tool(round, "log", "verify", "--data", data, within=within).good()
    tool(round, "replay", "--data", data, "--verify", within=within).good()


def project(directory: Path, scripts: Mapping[str, str], config: str = "", cron: str | None = None) -> Path:
    """Writes a project: `triggers/NAME.lua` for each script, host.yaml with `data: data` and what config adds."""
    (directory / "triggers").mkdir(parents=True, exist_ok=True)
    for name, text in scripts.items():
        (directory / "triggers" / f"{name}.lua").write_text(text)
    head = "scripts: triggers\ndata: data\n"
    if cron is not None:
        (directory / "cron.yaml").write_text(cron)
        head += "cron: cron.yaml\n"
    (directory / "host.yaml").write_text(head + config)
    return directory


def outcome_of(answer: Mapping[str, Any], trigger: str | None = None) -> str:
    """The outcome in an answer, of one trigger where there are several; `accepted`, `error: ...` or `nothing`."""
    if "error" in answer:
        return f"error: {answer['error']}"
    for result in answer.get("results", []):
        if trigger is None or result.get("trigger") == trigger:
            return str(result.get("outcome"))
    return "accepted" if answer.get("accepted") else "nothing"


def seq_of(answer: Mapping[str, Any], trigger: str | None = None) -> int | None:
    for result in answer.get("results", []):
        if trigger is None or result.get("trigger") == trigger:
            return result.get("seq")
    return None
