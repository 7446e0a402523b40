"""CSV as other programs write it: every cell arrives as the pages say, whatever stands between and around the cells."""

from __future__ import annotations

import csv
import io
import random
import re
from pathlib import Path

from .process import project, state, tool
from .rounds import Round, check

# A row's own number is its key; what came of its cells is the value.
ROW = """
return { on = { data = "rows" }, execute = function(event, ctx)
  local fields = {}
  for name, value in pairs(event) do fields[name] = value end
  return { ctx:store("rows"):put(tostring(event.n), fields) }
end }
"""
CELLS = [
    "", "7", "-12", "0", "-0", "39.0", "-2.50", "0.1", "2e8", "12E4", "007", "+1", ".5", "5.", "1_000", "0x10", " 12", "12 ",
    "9223372036854775807", "-9223372036854775808", "9223372036854775808", "1.00000000000000000000001", "123456789.123456789",
    "true", "nan", "inf", "a,b", "a;b", "a\tb", "a|b", 'say "x"', "two\nlines", "two\r\nlines", "é", "🙂", " padded ", "--", "1,5",
]
DELIMITERS = {",": None, ";": None, "\t": None, "|": None, ":": '":"', "~": '"~"'}


def read(cell: str) -> str | int | float | None:
    """What the pages say of a cell without a type."""
    if cell == "":
        return None
    if re.fullmatch(r"-?(0|[1-9][0-9]*)", cell) and cell != "-0" and -2**63 <= int(cell) < 2**63:
        return int(cell)
    if re.fullmatch(r"-?(0|[1-9][0-9]*)\.[0-9]+", cell) and len(re.sub(r"^0+", "", cell.lstrip("-").replace(".", ""))) <= 17:
        return float(cell)
    return cell


def written(rng: random.Random, rows: list[list[str]], delimiter: str, ending: str) -> str:
    out = io.StringIO()
    # Python before 3.13 quotes a line feed only when it ends lines.
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]) if "\n" in ending else csv.QUOTE_ALL
    csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=quoting).writerows(rows)
    return out.getvalue()


@check("cells", limit=120, quick=True)
def cells(round: Round) -> None:
    """Random cells, delimiters, line ends and quotes, with ragged rows between: each row arrives whole or is named."""
    rng = round.rng
    for turn in range(3 if round.quick else 25):
        delimiter, ending = rng.choice(list(DELIMITERS)), rng.choice(["\n", "\r\n", "\r"])
        names = ["n", "plain", "two words", "é", "open"][:rng.randint(3, 5)]
        rows, expected, bad = [names], {}, 0
        for n in range(1, rng.randint(20, 200)):
            if rng.random() < 0.05:
                rows.append([str(n)] + ["x"] * rng.choice([0, 7]))
                bad += 1
                continue
            row = [str(n)] + [rng.choice(CELLS) for _ in names[1:]]
            rows.append(row)
            found = {name: read(cell) for name, cell in zip(names, row)}
            expected[str(n)] = {name: value for name, value in found.items() if value is not None}
        directory = round.directory / f"turn-{turn}"
        told = f", delimiter: {DELIMITERS[delimiter]}" if DELIMITERS[delimiter] else ""
        root = project(directory, {"row": ROW}, f"feeds: [{{ name: rows, file: rows.csv, event: rows{told} }}]\n")
        text = ("\ufeff" if rng.random() < 0.3 else "") + written(rng, rows, delimiter, ending)
        (root / "rows.csv").write_bytes(text.encode())
        compare(round, root, expected, bad, f"turn {turn}, {delimiter!r}, {ending!r}")


def compare(round: Round, root: Path, expected: dict[str, dict[str, object]], bad: int, what: str) -> None:
    ended = tool(round, "run", "--exit-when-idle", cwd=root, within=60).good()
    got = state(round, root / "data").get("rows", {})
    for n in sorted(set(expected) | set(got), key=int):
        ours, theirs = expected.get(n), got.get(n)
        same = ours == theirs and {k: type(v) for k, v in (ours or {}).items()} == {k: type(v) for k, v in (theirs or {}).items()}
        if not same:
            round.fault(f"{what}: row {n} arrived as {theirs!r}, should be {ours!r}")
    if bad and "rows.csv:" not in ended.err:
        round.fault(f"{what}: {bad} rows have another number of cells, and nobody says so: {ended.words}")
