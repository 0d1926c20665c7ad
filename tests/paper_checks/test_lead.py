"""Which of two answers leads first, and how often that is the rarer one."""

from __future__ import annotations

import itertools
import math

import pytest

from paper_checks.lead import MOST, first_to_lead, until_clear
from paper_checks.training_curves import LEAD
from paper_checks.zhang2021 import fig4


@pytest.mark.parametrize(
    ("answers", "by", "expected"),
    [
        ([True, True], 2, True),
        ([False, True, False, False], 2, False),
        ([True, False, True, False], 2, None),
        ([], 1, None),
        ([True, True, False, False, False, False], 2, True),  # what comes later does not count
    ],
)
def test_the_first_to_lead(answers: list[bool], by: int, expected: bool | None) -> None:
    assert first_to_lead(answers, by) is expected


def test_runs_are_made_until_every_question_has_an_answer() -> None:
    made: list[int] = []

    def run(k: int) -> int:
        made.append(k)
        return k

    runs, answers = until_clear(run, [lambda k: True, lambda k: k == 0], by=3)
    assert runs == made == [0, 1, 2, 3, 4]  # the second one leads by 1, 0, -1, -2, -3
    assert answers == [True, False]


def test_a_question_that_stays_open_is_left_so() -> None:
    runs, answers = until_clear(lambda k: k, [lambda k: k % 2 == 0], by=2)
    assert (len(runs), answers) == (MOST, [None])


@pytest.mark.parametrize(("by", "share"), [(2, 0.2), (3, 0.1)])
def test_the_rarer_answer_leads_first_as_often_as_the_gambler_is_ruined(by: int, share: float) -> None:
    """By all sequences of 2 by + 10 answers; what is open after them has a probability below 1e-2."""
    wrong = still = 0.0
    for answers in itertools.product((True, False), repeat=2 * by + 10):
        weight = math.prod(1 - share if a else share for a in answers)
        found = first_to_lead(answers, by)
        wrong += weight * (found is False)
        still += weight * (found is None)
    ruin = 1 / (1 + ((1 - share) / share) ** by)
    assert wrong <= ruin <= wrong + still
    assert still < 1e-2


@pytest.mark.parametrize(("by", "share"), [(5, 0.136), (3, 0.044), (LEAD, 1 / 8), (fig4.LEAD, 0.24)])
def test_the_rates_that_are_stated(by: int, share: float) -> None:
    assert 1 / (1 + ((1 - share) / share) ** by) <= 1e-4
