"""A table of a paper as a figure: the printed numbers beside ours, as Markdown and as a picture.

Ours are means over seeds with Student's 95% intervals.  What the paper states of its table is given as relations
between rows; whether ours bear it out is computed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from figures.definition import Numbers
from figures.relations import Relation, Values, compared, finding, interval
from figures.style import PAGE_WIDTH, style
from verify.printed_tables import PrintedTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

LINE = 0.155  # inches
LETTERS = 110  # across the page: a narrower table is not stretched further
GAP = 2.5  # letters between columns
NONE = "–"


def table_numbers(
    printed: PrintedTable,
    ours: Values,
    *,
    seeds: Sequence[int],
    statement: str,
    relations: Sequence[Relation],
    conditions: str,
    unit: str = "accuracy, %",
    decimals: int = 1,
    folds: int | None = None,
) -> Numbers:
    """What `draw` and `markdown` need, as plain JSON.

    ours : by column and row, one number a seed; a row that a column lacks is left open
    statement : the paper's, in its words or ours; relations : what it says of our columns
    conditions : how ours were made, in one sentence
    folds : how many, where ours have one number a fold instead, the mean over seeds
    """
    found = [compared(relation, ours) for relation in relations]
    rows = list(dict.fromkeys([*printed.rows, *(row for column in ours.values() for row in column)]))
    return {
        "statement": statement,
        "finding": finding(found, *((len(seeds), "seeds") if folds is None else (folds, "folds"))),
        "conditions": conditions,
        "relations": found,
        "rows": rows,
        "printed": {
            "caption": printed.caption,
            "unit": printed.unit,
            "note": printed.note,
            "columns": list(printed.columns),
            "values": {row: list(values) for row, values in printed.rows.items()},
        },
        "ours": {
            "unit": unit,
            "decimals": decimals,
            "seeds": list(seeds),
            "columns": list(ours),
            "values": {row: [_summary(column.get(row)) for column in ours.values()] for row in rows},
        },
    }


def _summary(values: Sequence[float] | None) -> Numbers | None:
    if values is None:
        return None
    return {"values": list(values), "mean": float(np.mean(values)), "interval": interval(values)}


def markdown(numbers: Numbers) -> str:
    """A title line, the table, and what is found."""
    header = ["", *_headers(numbers)]
    body = [[row, *_cells(numbers, row)] for row in numbers["rows"]]
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *body]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"# {numbers['title']}\n\n{numbers['source']}.\n\n{table}\n\n" + "\n\n".join(_notes(numbers)) + "\n"


def draw(numbers: Numbers) -> Picture:
    """The same, ruled as tables in print are."""
    from matplotlib.figure import Figure as Picture

    rows = numbers["rows"]
    width = int(PAGE_WIDTH * 20)
    notes = [line for note in _notes(numbers) for line in textwrap.wrap(note.replace("**", ""), width)]
    height = LINE * (len(rows) + 3.4 + len(notes))
    with style():
        picture = Picture(figsize=(PAGE_WIDTH, height))
        picture.set_layout_engine("none")
        ax = picture.add_axes((0.01, 0, 0.98, 1))
        ax.set_axis_off()
        ax.set_xlim(0, 1)
        ax.set_ylim(-height / LINE, 0)
        _grid(ax, numbers)
        for k, line in enumerate(notes):
            ax.text(0, -(len(rows) + 3.4 + k), line, va="center", fontsize=6.5)
    return picture


def _grid(ax: Axes, numbers: Numbers) -> None:
    lines = [["", *(h.removeprefix("printed: ").removeprefix("ours: ") for h in _headers(numbers))]]
    lines += [[row, *_cells(numbers, row)] for row in numbers["rows"]]
    widths = np.array([max(len(line[k]) for line in lines) + GAP for k in range(len(lines[0]))])
    split = len(numbers["printed"]["columns"])
    named = ((0, split, "printed"), (split, len(widths) - 1, "ours, mean and 95% interval"))
    groups = [group for group in named if group[1] > group[0]]
    for first, last, name in groups:
        columns = widths[first + 1 : last + 1]
        columns += max(0.0, len(name) + GAP - columns.sum()) / (last - first)
    across = max(widths.sum(), LETTERS)
    right = np.cumsum(widths) / across
    for first, last, name in groups:
        left = right[first] + 0.5 * GAP / across
        ax.text((left + right[last]) / 2, -0.6, name, ha="center", va="center", fontsize=7)
        ax.plot([left, right[last]], [-1.1, -1.1], color="black", lw=0.5)
    for k, line in enumerate(lines):
        y = -1.6 - k - 0.2 * (k > 0)
        ax.text(0, y, line[0], va="center", fontsize=7)
        for x, text in zip(right[1:], line[1:], strict=True):
            ax.text(x, y, text, ha="right", va="center", fontsize=7)
    for y, weight in ((-0.05, 1.0), (-2.2, 0.6), (-2.35 - len(numbers["rows"]), 1.0)):
        ax.plot([0, right[-1]], [y, y], color="black", lw=weight)


def _headers(numbers: Numbers) -> list[str]:
    return [f"{part}: {name}" for part in ("printed", "ours") for name in numbers[part]["columns"]]


def _cells(numbers: Numbers, row: str) -> list[str]:
    printed, ours, places = numbers["printed"], numbers["ours"], _places(numbers)
    given = printed["values"].get(row, [None] * len(printed["columns"]))
    return [NONE if v is None else f"{v:.{places}f}" for v in given] + [
        _ours(each, ours["decimals"]) for each in ours["values"][row]
    ]


def _places(numbers: Numbers) -> int:
    """Decimals that the printed table has."""
    values = [v for row in numbers["printed"]["values"].values() for v in row if v is not None]
    return max((len(f"{v:.4f}".rstrip("0").split(".")[1]) for v in values), default=0)


def _ours(each: Numbers | None, decimals: int) -> str:
    if each is None:
        return NONE
    mean = f"{each['mean']:.{decimals}f}"
    return mean if each["interval"] is None else f"{mean} ± {each['interval'][1] - each['mean']:.{decimals}f}"


def _notes(numbers: Numbers) -> list[str]:
    printed, ours = numbers["printed"], numbers["ours"]
    note = f"; {printed['note']}" if printed["note"] else ""
    return [
        f"Printed: {printed['caption']}, {printed['unit']}{note}.  Ours: {numbers['conditions']}; {ours['unit']}.",
        f"**The paper:** {numbers['statement']}",
        f"**Found:** {numbers['finding']}.",
    ]
