"""Counts, scans and prefixes are those of one snapshot, whatever other workers insert and delete beside them."""

from __future__ import annotations

import time

from . import model
from .process import Host, export, outcome_of, project, state
from .rounds import Round, check

NAME = """
local function name(event, i)
  if event.shape == "between" then return ("y/%03d/%08d"):format(i, event.id) end
  return ("y/%08d/%03d"):format(event.id, i)
end

"""

# 300 keys that were not there, next to ten that nobody touches.
INSERT = NAME + """
return {
  on = { event = "insert" },
  execute = function(event, ctx)
    local keys = ctx:store("keys")
    local intents = {}
    for i = 1, event.n do intents[i] = keys:put(name(event, i), event.id) end
    intents[#intents + 1] = keys:add("a/inserted", event.n)
    return intents
  end,
}
"""

# Takes out what an earlier one has put in, and maintains a counter of its own beside a pair that moves together.
REMOVE = NAME + """
return {
  on = { event = "remove" },
  execute = function(event, ctx)
    local keys = ctx:store("keys")
    local intents = {}
    for i = 1, event.n do intents[i] = keys:delete(name(event, i)) end
    intents[#intents + 1] = keys:add("a/inserted", -event.n)
    return intents
  end,
}
"""

MOVE = """
return {
  on = { event = "move" },
  execute = function(event, ctx)
    local keys = ctx:store("keys")
    local from = keys:keys("p/")[1]
    return { from and keys:delete(from) or false, keys:put(("p/%06d"):format(event.to), event.to) }
  end,
}
"""

# Looks many times in one execution: what it sees must neither move nor be wrong.
LOOK = """
return {
  on = { event = "look" },
  timeout = "10s",
  execute = function(event, ctx)
    local keys = ctx:store("keys")
    local wrong = {}
    local function differs(what, got, expected)
      if got ~= expected and #wrong < 5 then wrong[#wrong + 1] = ("%s %s for %s"):format(what, got, expected) end
    end
    for i = 1, event.times do
      differs("count z/", keys:count("z/"), 10)
      local n = 0
      for key in keys:scan("z/") do n = n + 1 end
      differs("scan z/", n, 10)
    end
    differs("keys z/", #keys:keys("z/"), 10)
    if event.tally then
      differs("count y/", keys:count("y/"), keys:get("a/inserted") or 0)
      differs("count p/", keys:count("p/"), 1)
    end
    return { ctx:store("looks"):put(tostring(event.id), wrong[1] and wrong or true) }
  end,
}
"""

SETUP = """
return {
  on = { event = "setup" },
  execute = function(event, ctx)
    local keys = ctx:store("keys")
    local intents = { keys:put("p/000000", 0), keys:put("a/inserted", 0) }
    for i = 1, 10 do intents[#intents + 1] = keys:put("z/" .. i, i) end
    return intents
  end,
}
"""


@check("snapshots", limit=180, quick=True)
def snapshots(round: Round) -> None:
    """Counts and scans beside inserts and deletes of neighbouring keys, checkpoints meanwhile, kill -9, the same again."""
    rng = round.rng
    scripts = {"insert": INSERT, "remove": REMOVE, "move": MOVE, "look": LOOK, "setup": SETUP}
    root = project(round.directory, scripts, "log: { checkpoint: 200ms }\nlimits: { timeout: 10s, hold: 500ms }\n")
    looks = 0
    inserted: list[int] = []
    number = 0
    # Ascending keys end right before those that stay; of the others each goes between two of an earlier one.
    shape = rng.choice(["ascending", "ascending", "between"])
    for life in range(2 if round.quick else 3):
        host = Host(round, root, arguments=["--workers", rng.choice([2, 3, 4])])
        if life == 0:
            host.ask({"event": "setup"})
        until = time.monotonic() + (2 if round.quick else 8)
        while time.monotonic() < until:
            events = []
            for _ in range(20):
                number += 1
                events.append({"event": "insert", "payload": {"id": number, "n": 300, "shape": shape}})
                inserted.append(number)
                if rng.random() < 0.5 and len(inserted) > 40:
                    gone = inserted.pop(rng.randrange(len(inserted) - 30))
                    events.append({"event": "remove", "payload": {"id": gone, "n": 300, "shape": shape}})
                looks += 1
                events.append({"event": "look", "payload": {"id": looks, "times": 200, "tally": rng.random() < 0.2}})
                events.append({"event": "move", "payload": {"to": rng.randrange(1_000_000)}})
            for answer in host.ask(*events, within=60):
                if outcome_of(answer) != "committed":
                    round.fault(f"answered {answer}")
        host.alive()
        host.kill()

    host = Host(round, root)
    host.ask({"event": "look", "payload": {"id": looks + 1, "times": 1, "tally": True}})
    host.stop(20)
    content = state(round, root / "data")
    seen = content.get("looks", {})
    wrong = [(id, what) for id, what in seen.items() if what is not True]
    if wrong:
        round.fault(f"{len(wrong)} of {len(seen)} executions saw what was never there, the first: look {wrong[0][0]}: "
                    f"{wrong[0][1]}")
    if len(seen) != looks + 1:
        round.fault(f"{looks + 1} looks were acknowledged, {len(seen)} are there")
    records = export(round, root / "data")
    apart = model.difference(model.fold(records), content)
    if apart:
        round.fault(f"the newest state is not what the log's intents give: {apart}")
    round.note(f"{looks} looks, {number} inserts of 300 keys, {shape}")
