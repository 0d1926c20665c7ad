"""The figures there are, by id."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from figures import (
    attack_curves,
    bound_against_truth,
    cosine_curves,
    fgsm,
    generalisation,
    graph_table,
    mixupe2023,
    mixupe_tables,
    park2022,
    tabular_table,
    three_expansions,
    zhang2021,
)
from figures.definition import Figure

FIGURES: dict[str, Figure] = {
    figure.id: figure
    for figure in (
        *park2022.ALL,
        fgsm.FIGURE,
        zhang2021.FIG2,
        cosine_curves.FIGURE,
        attack_curves.FIGURE,
        *generalisation.ALL,
        *mixupe2023.ALL,
        *mixupe_tables.ALL,
        tabular_table.FIGURE,
        graph_table.FIGURE,
        three_expansions.FIGURE,
        bound_against_truth.FIGURE,
    )
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
