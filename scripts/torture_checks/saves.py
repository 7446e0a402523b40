"""Saving scripts: one that is broken holds nobody else back, and a start has in force what ran before."""

from __future__ import annotations

import json
import time
from pathlib import Path

from .process import Host, project, state
from .rounds import Fault, Round, check, patience

MODULE = "return { version = %d }\n"
TRIGGER = """local m = require("%s")
return { on = { event = "ask" }, execute = function(event, ctx)
  return { ctx:store("said"):put("%s", { own = %d, module = m.version }) }
end }
"""
UNLOADABLE = ["return {", "error('not today')\n", "local x <const> = 1 x = 2\n"]
NO_TRIGGER = ["return 7\n", "return { on = { event = 5 }, execute = print }\n", "return { on = { event = 'ask' } }\n"]


class Tree:
    """The rule, on its own: what was saved last of each file, and what each trigger runs with."""

    def __init__(self, names: list[str], modules: dict[str, str]) -> None:
        self.modules = modules                       # trigger: the module it requires
        self.saved = {n: (1, True) for n in [*names, *set(modules.values())]}
        self.force = {n: {"own": 1, "module": 1} for n in names}

    def save(self, name: str, version: int, good: bool) -> None:
        """One file at a time. What is broken, and what requires something broken, stays as it was."""
        self.saved[name] = (version, good)
        for trigger, module in self.modules.items():
            (own, own_good), (needed, needed_good) = self.saved[trigger], self.saved[module]
            if needed_good:
                self.force[trigger] = {"own": own if own_good else self.force[trigger]["own"], "module": needed}


def text(tree: Tree, name: str) -> str:
    version, good = tree.saved[name]
    is_trigger = name in tree.force
    whole = TRIGGER % (tree.modules[name], name, version) if is_trigger else MODULE % version
    breaks = [whole[:20], *UNLOADABLE, *(NO_TRIGGER if is_trigger else [])]
    return whole if good else breaks[version % len(breaks)]


def place(root: Path, name: str, tree: Tree) -> Path:
    return root / "triggers" / f"{name}.lua"


def said(host: Host, names: list[str]) -> dict[str, object]:
    """What is in force, by asking every trigger; its own commits are answered one by one."""
    answer = host.ask({"event": "ask", "payload": {}})[0]
    return {r["trigger"]: r["outcome"] for r in answer.get("results", []) if r["trigger"] in names}


@check("saves", limit=200, quick=True)
def saves(round: Round) -> None:
    """Random saves, broken and mended, over triggers and modules: what does not depend on a broken file goes live."""
    rng = round.rng
    names = ["a", "b", "c"]
    tree = Tree(names, {"a": "m1", "b": "m1", "c": "m2"})
    root = project(round.directory / "project", {n: text(tree, n) for n in tree.saved})
    host = Host(round, root)
    until(round, host, root, tree, names, "the first start")
    version = 1
    for step in range(6 if round.quick else 40):
        version += 1
        name = rng.choice(list(tree.saved))
        good = rng.random() < 0.6
        tree.save(name, version, good)
        place(root, name, tree).write_text(text(tree, name))
        # What is saved without a pause is saved together, and waits together.
        time.sleep(0.5 * patience())
        until(round, host, root, tree, names, f"step {step}: {name} version {version}, {'good' if good else 'broken'}")
        if rng.random() < 0.2:
            host.kill() if rng.random() < 0.5 else host.stop()
            host = Host(round, root)
            until(round, host, root, tree, names, f"step {step}: a start")
    host.stop()


def until(round: Round, host: Host, root: Path, tree: Tree, names: list[str], what: str) -> None:
    """Asks until the stores show what should be in force; a save takes a moment."""
    deadline = time.monotonic() + 10
    while True:
        said(host, names)
        shown = state(round, root / "data").get("said", {})
        if shown == tree.force:
            return
        if time.monotonic() > deadline:
            saved = {n: f"{v}{'' if g else ' broken'}" for n, (v, g) in tree.saved.items()}
            raise Fault(f"{what}: in force is {json.dumps(shown)}, should be {json.dumps(tree.force)}; saved {saved}; "
                        f"it said: {host.last_words(6)}")
        time.sleep(0.05)
