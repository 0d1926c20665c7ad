"""The figures there are, by id."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from figures.definition import Figure

FIGURES: dict[str, Figure] = {
}
ALL = "all"


def select(ids: Sequence[str]) -> list[Figure]:
    """The figures of the given ids, each once; "all" is all of them.  ValueError for an id that is not there."""
    for name in ids:
        if name != ALL and name not in FIGURES:
            near = difflib.get_close_matches(name, FIGURES, n=3, cutoff=0.4) or list(FIGURES)
            raise ValueError(f"there is no figure {name!r}; the nearest ids are {', '.join(near)}")
    chosen = FIGURES if ALL in ids else dict.fromkeys(ids)
    return [FIGURES[name] for name in chosen]
