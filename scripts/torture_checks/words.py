"""What a host says: acknowledgements alone on standard output, and no text of a script or sender as if it were the host's."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

from .process import Ended, Host, project, tool
from .rounds import Round, check

TALKER = """
return { on = { event = "talk" }, retry = 1, execute = function(event, ctx)
  print(event.text)
  ctx:log("info", event.text, { [event.text] = event.text })
  local ok, message = pcall(load(event.text, "@other.lua") or error, event.text)
  print(message)
  if event.fail then error(event.text, 0) end
  return { ctx:store(event.text):put(event.text, event.text), ctx:emit(event.text, event.text) }
end }
"""
FORGED = "[other 9.9] error: forged"
PIECES = [
    "\x1b[2J", "\x1b]0;title\x07", "\x1b[31m", "\x9b31m", "\u0085", "\r", "\n", "\x08", "\x00", "\x7f", "\u2028",
    "\u202e", "é", "🙂", "plain", " ", "\t", FORGED, "\n" + FORGED, "\r\n" + FORGED, "\\n", "{\"id\": 7}", "\n{\"id\":7}",
]
# C0 but for the line's end and the tabulator, DEL, C1; what ends a line in some eyes; what turns text round.
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def text(round: Round) -> str:
    return "".join(round.rng.choice(PIECES) for _ in range(round.rng.randint(1, 8)))


def look(round: Round, command: str, said: str) -> None:
    """No raw control characters, and no line that begins with what only the host would say."""
    if raw := RAW.search(said):
        round.fault(f"{command} prints {raw.group()!r} raw: {said[max(0, raw.start() - 60):raw.end() + 60]!r}")
    for line in said.splitlines():
        if re.match(r"(\d\S* )?" + re.escape(FORGED), line):
            round.fault(f"{command} prints a line that somebody else wrote as if it were the host's: {line!r}")


def tools(round: Round, root: Path) -> list[Ended]:
    data = root / "data"
    last = tool(round, "log", "cat", "--data", data, "--json").lines()[-1]["seq"]
    commands: list[list[object]] = [
        ["log", "cat", "--data", data], ["dead", "list", "--data", data], ["replay", "--data", data],
        ["scripts", "log", "--data", data], ["scripts", "show", "--data", data],
        ["replay", "--data", data, "--with", root / "triggers"],
        ["exec", root / "triggers" / "talker.lua", "--data", data, "--seq", round.rng.randint(1, last)],
    ]
    return [tool(round, *command, cwd=root) for command in commands]


@check("words", limit=120, quick=True)
def words(round: Round) -> None:
    """Texts of senders and scripts that mean to be something else: shown harmless, by run and by every tool."""
    root = project(round.directory / "project", {"talker": TALKER})
    events = [{"event": "talk", "payload": {"text": text(round), "fail": round.rng.random() < 0.4}} for _ in range(60)]
    given = "".join(json.dumps(e) + "\n" for e in events).encode()
    ended = tool(round, "run", "--stdin", cwd=root, stdin=given).good()
    ids = set()
    for line in ended.out.splitlines():
        try:
            ids.add(json.loads(line)["id"])
        except (ValueError, KeyError, TypeError):
            round.fault(f"standard output of run has a line that is no acknowledgement: {line!r}")
    if ids != set(range(1, len(events) + 1)):
        round.fault(f"{len(events)} events were answered with the ids {sorted(ids)}")
    look(round, "run", ended.err)
    for line in ended.err.splitlines():
        if not re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z |\s", line):
            round.fault(f"a line of run has no time: {line!r}")
    for done in tools(round, root):
        look(round, f"`{done.command}`", done.out + done.err)
    quiet = tool(round, "run", "--stdin", "--quiet", cwd=root, stdin=b'{"event": "talk", "payload": {"text": "x"}}\n')
    if " x\n" in quiet.err:
        round.fault(f"run --quiet says what is neither warning nor error: {quiet.err!r}")
    for line in tool(round, "run", "--stdin", "--log-format", "json", cwd=root, stdin=given).good().err.splitlines():
        try:
            json.loads(line)
        except ValueError:
            round.fault(f"run --log-format json prints a line that is no JSON: {line!r}")


@check("private", limit=60, quick=True)
def private(round: Round) -> None:
    """What a host keeps is for its user alone, whatever the umask says."""
    before = os.umask(0)
    try:
        root = project(round.directory / "project", {"talker": TALKER}, "stores: { t: { backend: database, columns: { a: text } } }\n")
        host = Host(round, root)
        host.ask({"event": "talk", "payload": {"text": "x"}})
        modes(round, root / "data")
        host.stop()
        modes(round, root / "data")
    finally:
        os.umask(before)


def modes(round: Round, data: Path) -> None:
    for path in [data, *data.rglob("*")]:
        if path.is_file() or path.is_dir():
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                round.fault(f"{path.relative_to(data.parent)} has the mode {mode:o}: others may look at it")
