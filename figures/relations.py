"""Is what a paper states about its table seen in ours?  Pairs of rows compared seed by seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import t

from figures.definition import Numbers

LEVEL = 0.95
SEEN, REVERSED, OPEN = "seen", "reversed", "within chance"
Values = Mapping[str, Mapping[str, Sequence[float]]]  # by column and row: one a seed, the same seeds everywhere


@dataclass(frozen=True)
class Relation:
    """The paper's statement has row `greater` above row `smaller` in our column."""

    greater: str
    smaller: str
    column: str

    def __str__(self) -> str:
        return f"{self.greater} > {self.smaller} ({self.column})"


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Student's 95% interval of the mean; None for one value."""
    if len(values) < 2:
        return None
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / len(values) ** 0.5)
    half = float(t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    return mean - half, mean + half


def compared(relation: Relation, ours: Values) -> Numbers:
    """The paired difference, its interval, and what is found."""
    column = ours[relation.column]
    differences = np.subtract(column[relation.greater], column[relation.smaller]).tolist()
    bounds = interval(differences)
    found = OPEN if bounds is None else SEEN if bounds[0] > 0 else REVERSED if bounds[1] < 0 else OPEN
    return {**asdict(relation), "difference": float(np.mean(differences)), "interval": bounds, "found": found}


def finding(relations: Sequence[Numbers], values: int, of: str = "seeds") -> str:
    """One sentence: whether the paper's statement is borne out, by so many values a row."""
    count = Counter(each["found"] for each in relations)
    said = f"of {len(relations)} comparisons {count[SEEN]} come out as stated"
    turned = [str(Relation(r["greater"], r["smaller"], r["column"])) for r in relations if r["found"] == REVERSED]
    said += f", {len(turned)} the other way round" + (f" (stated: {'; '.join(turned)})" if turned else "")
    return f"{_verdict(count)}: {said}, {count[OPEN]} within chance ({values} {of}, paired {LEVEL:.0%} intervals)"


def _verdict(count: Counter[str]) -> str:
    if not count[REVERSED]:
        if not count[OPEN]:
            return "borne out here"
        return "borne out here in part" if count[SEEN] else "neither borne out nor refuted here"
    return "borne out here in part, and contradicted in part" if count[SEEN] else "not borne out here"
