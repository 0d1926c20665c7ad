"""Is something so in most runs?  Runs with one seed after the other, until one of the two answers leads.

A run gives the rarer answer with some probability p.  The rarer answer is the first to lead by k with probability
1 / (1 + ((1-p)/p)^k), the gambler's ruin (Feller, vol. 1, XIV.2), after k / (1-2p) runs or fewer in the mean.  For
k = 5 that is at most 1e-4 wherever p <= 0.136, for k = 3 wherever p <= 0.044: fewer wrong answers, from fewer runs,
than the median of a fixed number of runs gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

R = TypeVar("R")
#: runs after which a question is left open
MOST = 40


def first_to_lead(answers: Iterable[bool], by: int) -> bool | None:
    """The answer that is the first to lead by so many; None if neither ever does."""
    lead = 0
    for answer in answers:
        lead += 1 if answer else -1
        if abs(lead) == by:
            return lead > 0
    return None


def until_clear(
    run: Callable[[int], R], questions: Sequence[Callable[[R], bool]], by: int
) -> tuple[list[R], list[bool | None]]:
    """run(0), run(1), ... until all questions have an answer that leads: the runs, and the answers."""
    runs: list[R] = []
    found: list[bool | None] = [None] * len(questions)
    while None in found and len(runs) < MOST:
        runs.append(run(len(runs)))
        found = [first_to_lead(map(question, runs), by) for question in questions]
    return runs, found
