"""Codes of failures: each that Troubleshooting.md lists, the same in answers, records, `exec --json` and script tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from .process import Host, export, outcome_of, project, seq_of, tool
from .rounds import Round, check, patience

PAGE = Path(__file__).resolve().parents[2] / "Sources/TriggerHost/Documentation.docc/Troubleshooting.md"

# Documented, and not to be had from outside: why.
UNREACHED = {
    "cancelled": "a host that is stopped leaves what it cuts off for the next start; only a Swift program cancels a task",
    "stuck": "it takes a defect of trigger-host",
    "quarantined": "it takes a defect of trigger-host",
}

CONFIG = """
limits: { emits: 5, hops: 12, offspring: 30 }
stores: { files: { backend: files, directory: files } }
"""


def script(name: str, body: str, more: str = "") -> str:
    return f'return {{ on = {{ event = "{name}" }}, {more} execute = function(event, ctx)\n  {body}\nend }}\n'


# By trigger: the code that it ends with, and its script. Those that name several ways to a code vary by chance.
ALONE: dict[str, list[str]] = {
    "error": ['error("no")', "error({ odd = true })", "error()", "local x = nil; return x.y", "return 7", 'return "text"',
              "return { 1 }", "return { { kind = 'put' } }", "coroutine.yield(1)"],
    "timeout": ["while true do end", 'repeat pcall(error, "x") until false',
                "local function f() return f() end return f()",
                "local co = coroutine.wrap(function() while true do end end) co()"],
    "memory": ['local t = {} for i = 1, 1e7 do t[i] = i .. "" end', 'return string.rep("x", 1e9)'],
    "intent": ['return { ctx:store("s"):put("text", "a"), ctx:store("s"):add("text", 1) }',
               'return { ctx:store("s"):put("n", 1), ctx:store("s"):append_text("n", "a") }',
               'return { ctx:store("s"):put("n", 1), ctx:store("s"):append("n", "a") }'],
    "refused": ['return ctx:store("files"):put("../up", "x")', 'return ctx:store("files"):put("/top", "x")',
                'return { ctx:store("files"):put("a", "x"), ctx:store("files"):put("a/b", "x") }'],
    "emits": ['local r = {} for i = 1, 6 do r[i] = ctx:emit("nobody", { i = i }) end return r'],
}
LIMITS = {"memory": ' memory = "2mb", timeout = "20s",', "timeout": ' timeout = "50ms",'}
LATER = {
    "loop": script("loop", 'return ctx:emit("loop", {})'),
    "offspring": script("offspring", 'local r = {} for i = 1, 5 do r[i] = ctx:emit("offspring", {}) end return r'),
    "dropped": script("dropped", "local x = 0 for i = 1, 3000000 do x = x + i % 7 end return {}",
                      'mode = "single", max_instances = 1, timeout = "20s",'),
}


# Refused lines that take a full window of keys, or a disk that cannot be read: other checks have those.
UNREFUSED = {"keys_full", "storage"}


def documented() -> tuple[list[str], list[str]]:
    """The codes of failures, and those of lines that are refused."""
    text = PAGE.read_text()
    text = text[text.index("## Codes"):]
    failures, refusals = text.split("A line of standard input that the host refuses", 1)
    return tuple(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE) for part in (failures, refusals))


def by_refusals(round: Round, root: Path, known: list[str]) -> None:
    """Lines that are no events, or come with a key that was another's: each is refused with a documented code."""
    bad = [b"no event", b"[1]", b"{}", b'{"event": 5}', b'{"event": "sync", "priority": "now"}', b'{"event": "\xff"}',
           b'{"event": "sync", "payload": {"a": 1, "a": 2}}', b'{"event": "sync", "surprise": true}']
    lines = round.rng.sample(bad, 3)
    host = Host(round, root, arguments=["--memory"])
    host.ask({"event": "error", "payload": {"n": 1}, "key": "k"})
    answers = host.ask(*lines, {"event": "error", "payload": {"n": 2}, "key": "k"}, within=60)
    host.stop(20)
    for line, answer in zip([*lines, b"another event with the key k"], answers):
        wanted = "bad_line" if line in lines else "key_reused"
        if answer.get("code") != wanted or not answer.get("error") or "results" in answer:
            round.fault(f"{line!r} is answered {answer}, expected code {wanted}")
    if set(known) != {"bad_line", "key_reused"} | UNREFUSED:
        round.fault(f"refusals that are documented and not tried, or the other way round: {known}")


def scripts_of(round: Round) -> dict[str, str]:
    scripts = dict(LATER)
    for name, bodies in ALONE.items():
        retry = 'retry = { attempts = 2, backoff = "10ms" },' if round.rng.random() < 0.3 else ""
        scripts[name] = script(name, round.rng.choice(bodies), retry + LIMITS.get(name, ""))
    return scripts


def by_answers(round: Round, root: Path) -> None:
    """Sends each event; answers and records say the same."""
    rng = round.rng
    events: list[str] = [*ALONE, "loop", "dropped", "dropped", "dropped"]
    rng.shuffle(events)
    events.append("offspring")  # It fills the queue.
    host = Host(round, root, arguments=["--workers", rng.choice([1, 2, 4])])
    lines = host.send(*[{"event": name, "payload": {}} for name in events])
    answers = dict(zip(lines, host.await_answers(lines, 60)))
    host.send({"event": "sync", "payload": {}})
    killed = rng.random() < 0.4
    if killed:
        host.kill()
    else:
        host.stop(20)
    tool(round, "run", "--exit-when-idle", cwd=root, within=60)
    records = {record["seq"]: record for record in export(round, root / "data")}
    dropped = 0
    for line, name in zip(lines, events):
        result = answers[line]["results"][0]
        record = records.get(seq_of(answers[line]) or 0, {})
        if (result.get("code"), result["outcome"]) != (record.get("code"), record.get("outcome")):
            round.fault(f"{name} is answered {result}, its record is {record}")
        if name in ALONE and (result["outcome"] != "failed" or result.get("code") != name):
            round.fault(f"{name}, `{(root / 'triggers' / f'{name}.lua').read_text()}`, is answered {result}")
        if name == "dropped" and result["outcome"] != "committed":
            dropped += result.get("code") == "dropped" and result["outcome"] == "skipped"
    if dropped != 2:
        round.fault(f"of three at once that may run once at a time {dropped} were dropped")


def check_records(round: Round, root: Path, known: list[str]) -> set[str]:
    """Every failure has a documented code, the same in each command that prints it; gives those that came."""
    data = root / "data"
    records = export(round, data)
    cat = tool(round, "log", "cat", "--data", data, "--json").lines()
    if [(r["seq"], r.get("code")) for r in records] != [(r["seq"], r.get("code")) for r in cat]:
        round.fault("log cat --json and log export differ in codes")
    for record in records:
        code = record.get("code")
        if record["outcome"] in ("committed", "deferred") and code is not None:
            round.fault(f"a {record['outcome']} record has code {code}: {record}")
        if record["outcome"] in ("failed", "skipped") and code not in known:
            round.fault(f"a record that {record['outcome']} has code {code}, which is not in the table: {record}")
        if record["outcome"] == "failed" and record["trigger"] in known and code != record["trigger"]:
            round.fault(f"trigger {record['trigger']} failed with code {code}: {record.get('error')}")
        if code is not None and not record.get("error"):
            round.fault(f"code {code} without a text: {record}")
    codes = {record["seq"]: record.get("code") for record in records}
    for line in tool(round, "dead", "list", "--data", data, "--json").lines():
        if line.get("code") != codes.get(line["seq"]):
            round.fault(f"dead list --json says {line.get('code')} of seq {line['seq']}, its record {codes.get(line['seq'])}")
    return {str(code) for code in codes.values() if code}


def by_exec(round: Round, root: Path, name: str) -> None:
    """One trigger alone, and its seq of the log again."""
    ended = tool(round, "exec", name, "--json", cwd=root)
    told = json.loads(ended.out) if ended.out.strip().startswith("{") else {}
    if ended.code != 1 or told.get("code") != name or told.get("outcome") != "failed":
        round.fault(f"`{ended.command}` ends with {ended.code}, code {told.get('code')}, not {name}: {ended.words}")
    seq = next((r["seq"] for r in export(round, root / "data", "--trigger", name, "--outcome", "failed")), None)
    if seq is None:
        return
    again = tool(round, "exec", "--data", "data", "--seq", seq, "--config", "host.yaml", "--json", cwd=root)
    told = json.loads(again.out) if again.out.strip().startswith("{") else {}
    if told.get("code") != name:
        round.fault(f"`{again.command}` (a seq that failed with {name}) ends with {again.code}: {again.words}")


def by_tests(round: Round, root: Path) -> None:
    """Tests in Lua see the words, of `run` and of a whole host."""
    lines = ['describe("codes", function()']
    for name in ALONE:
        lines.append(f'  it("run {name}", function() expect(run("{name}").code):equals("{name}") end)')
    for name in [*ALONE, "loop", "offspring"]:
        lines.append(f"""  it("host {name}", function()
    local codes = {{}}
    host:send("{name}", {{}})
    host:settle()
    for _, result in ipairs(host:results()) do if result.code then codes[result.code] = true end end
    expect(codes):equals {{ ["{name}"] = true }}
  end)""")
    lines.append("end)\n")
    (root / "triggers" / "codes_test.lua").write_text("\n".join(lines))
    ended = tool(round, "test", ".", cwd=root, within=120)
    if ended.code != 0:
        round.fault(f"`{ended.command}` ends with {ended.code}: {ended.out[-1200:]}{ended.err[-300:]}")
    (root / "triggers" / "codes_test.lua").unlink()


# A million versions: a snapshot that must keep more is given up, and at the second time its holder fails.
LONG = script("long", 'local s, x = ctx:store("s"), 0\n  for i = 1, 2000000000 do x = x + i % 7 end return s:put("x", x)',
              'timeout = "300s",')
MANY = script("many", 'local s, r = ctx:store("s"), {}\n  for i = 1, 2000 do r[i] = s:put("k" .. i, event.n) end return r',
              'timeout = "5s",')


def by_age(round: Round) -> str | None:
    """The code of a script whose snapshot is too old."""
    root = project(round.directory / "old", {"long": LONG, "many": MANY}, "workers: 2\n")
    host = Host(round, root, arguments=["--memory"])
    long = host.send({"event": "long", "payload": {}})
    for n in range(2500):
        host.send({"event": "many", "payload": {"n": n}})
    result = host.await_answers(long, 150)[0]["results"][0]
    host.stop(20)
    return result.get("code")


@check("codes", limit=300, quick=True)
def codes(round: Round) -> None:
    """Every code of Troubleshooting.md: the same word in answers, records, dead letters, exec and script tests."""
    known, refusals = documented()
    round.expect(len(known) > 5 and refusals != [], f"the table of codes in {PAGE.name} is not to be found")
    rng = round.rng
    root = project(round.directory / "project", scripts_of(round), f"{CONFIG}durability: {rng.choice(['group', 'async'])}\n")
    (root / "files").mkdir()
    by_answers(round, root)
    by_refusals(round, root, refusals)
    reached = check_records(round, root, known)
    ended = tool(round, "replay", "--data", "data", "--verify", "--config", "host.yaml", cwd=root, within=60 * patience())
    if ended.code != 0:
        round.fault(f"`{ended.command}` ends with {ended.code}: {ended.words}")
    names: list[Any] = rng.sample(list(ALONE), 2) if round.quick else list(ALONE)
    for name in names:
        by_exec(round, root, name)
    by_tests(round, root)
    if not round.quick and (code := by_age(round)):
        reached.add(code)
    tried = set(known) - set(UNREACHED) - ({"snapshot_too_old"} if round.quick else set())
    if tried - reached:
        round.fault(f"documented and not reached: {', '.join(sorted(tried - reached))}")
    round.note(f"reached: {', '.join(sorted(reached))}")


@check("large", limit=240, quick=True)
def large(round: Round) -> None:
    """Large commits one after another, as large as the pages allow: none fails because of versions that others made."""
    intents = round.rng.choice([6000, 9000])
    root = project(round.directory / "project", {"many": MANY.replace("2000", str(intents))},
                   f"workers: {round.rng.choice([1, 2, 4])}\n")
    host = Host(round, root, arguments=["--memory"])
    answers = host.ask(*[{"event": "many", "payload": {"n": n}} for n in range(100 if round.quick else 300)], within=200)
    host.stop(20)
    failed = [answer for answer in answers if outcome_of(answer) != "committed"]
    if failed:
        round.fault(f"{len(failed)} of {len(answers)} commits of {intents} intents fail: {failed[0]}")
    round.note(f"{intents} intents each")
