"""An independent fold over `log export`: what the stores must hold, by the documents' words for each intent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .rounds import Fault

State = dict[str, dict[str, Any]]


def apply(state: State, record: Mapping[str, Any]) -> None:
    """Applies one committed record in list order."""
    for intent in record.get("intents", []):
        if intent["kind"] == "emit":
            continue
        store = state.setdefault(intent["store"], {})
        key, kind, value = intent["key"], intent["kind"], intent.get("value")
        if kind == "put":
            store[key] = value
        elif kind == "delete":
            store.pop(key, None)
        elif kind == "add":
            store[key] = store.get(key, 0) + value
        elif kind == "max":
            store[key] = max(store.get(key, value), value)
        elif kind == "min":
            store[key] = min(store.get(key, value), value)
        elif kind == "append":
            store[key] = [*store.get(key, []), value]
        elif kind == "append_text":
            store[key] = store.get(key, "") + value
        else:
            raise Fault(f"seq {record['seq']}: an intent of a kind that no document names: {kind}")


def fold(records: Iterable[Mapping[str, Any]], base: State | None = None) -> State:
    """The state after these records; seqs must be dense."""
    state: State = {name: dict(content) for name, content in (base or {}).items()}
    before: int | None = None
    for record in records:
        if before is not None and record["seq"] != before + 1:
            raise Fault(f"seqs are not dense: {before} is followed by {record['seq']}")
        before = record["seq"]
        if record["outcome"] == "committed":
            apply(state, record)
    return state


def difference(expected: State, got: State) -> str | None:
    """The first key in which two states differ, in words; a store without keys is no difference."""
    for store in sorted(set(expected) | set(got)):
        ours, theirs = expected.get(store, {}), got.get(store, {})
        for key in sorted(set(ours) | set(theirs)):
            if key not in theirs:
                return f"{store}/{key} is missing, should be {ours[key]!r} ({len(ours)} keys expected, {len(theirs)} there)"
            if key not in ours:
                return f"{store}/{key} is {theirs[key]!r} and should not be there"
            if ours[key] != theirs[key] or type(ours[key]) is not type(theirs[key]):
                return f"{store}/{key} is {theirs[key]!r}, should be {ours[key]!r}"
    return None
