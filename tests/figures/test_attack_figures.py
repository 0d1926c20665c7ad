"""The figures of adversarial losses: sides in order, and drawn as computed."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from figures import attack_curves, bound_against_truth
from figures.definition import Figure, Numbers, Settings

TINY = Settings(seeds=2, iterations=4, samples=12, records=3)


@cache
def numbers(figure: Figure) -> Numbers:
    return figure.compute(TINY)


def own(runs: list[Numbers], **chosen: str) -> list[Numbers]:
    return [run for run in runs if all(run[key] == value for key, value in chosen.items())]


def test_truth_lies_between_attack_and_certificate_and_the_proof_holds() -> None:
    found = numbers(bound_against_truth.FIGURE)
    at_one = found["scales"].index(1.0)
    assert len(found["runs"]) == 18
    for run in found["runs"]:
        assert all(
            run["standard"] <= a <= c * (1 + 1e-12) for a, c in zip(run["attack"], run["certified"], strict=True)
        )
        assert all(a <= b for a, b in zip(run["second_order"], run["second_order"][1:], strict=False))
        assert run["second_order"][at_one] <= run["bound"] or not run["guaranteed"]
        assert run["guaranteed"] == (run["radii"][0] >= 0)
    for run in own(found["runs"], network="linear"):
        assert run["attack"] == pytest.approx(run["certified"], rel=1e-12)


def test_bound_against_truth_draws_medians_over_the_bound() -> None:
    found = numbers(bound_against_truth.FIGURE)
    picture = bound_against_truth.draw(found)
    panels = np.reshape(picture.axes, (3, 3))
    for row, training in enumerate(bound_against_truth.TRAININGS):
        for column, name in enumerate(bound_against_truth.COLUMNS):
            runs = own(found["runs"], network=name, trained_with=training)
            _, *curves, _ = panels[row, column].lines  # the bound's line first, the dot last
            for line, key in zip(curves, bound_against_truth.LINES, strict=True):
                ratios = [np.array(run[key]) / run["bound"] for run in runs]
                np.testing.assert_array_equal(line.get_ydata(), np.median(ratios, 0))


def test_crossing_and_what_the_panel_says() -> None:
    runs = [{"attack": [0.5, 0.8, 1.2], "second_order": [0.4, 0.5, 0.6], "bound": 1.0, "guaranteed": False}]
    scales = [0.5, 1.0, 1.5]
    assert bound_against_truth._crossing(scales, runs) == pytest.approx(1.25)
    assert bound_against_truth._crossing(scales[:2], [runs[0] | {"attack": [0.5, 0.8]}]) == np.inf
    assert bound_against_truth._crossing(scales, [runs[0] | {"attack": [1.5, 1.6, 1.7]}]) == 0.5
    said = bound_against_truth._found(scales, runs, 1.25)
    assert "second order 0.50, attack 0.80" in said and "from $t=1.25$" in said and "0 of 1 seeds" in said


def test_attack_curves_draw_medians_of_the_losses() -> None:
    found = numbers(attack_curves.FIGURE)
    panels = np.reshape(attack_curves.draw(found).axes, (3, 2))
    for row, trained_by in enumerate(attack_curves.ROWS):
        for k, column in enumerate(found["columns"]):
            lines = panels[row, k].lines
            assert len(lines) == (3 if trained_by == attack_curves.FIRST else 2)
            for line, (path, loss, _, _) in zip(lines, attack_curves.LINES, strict=False):
                curves = [run[path or trained_by][loss] for run in column["runs"]]
                np.testing.assert_array_equal(line.get_ydata(), np.median(curves, 0))
