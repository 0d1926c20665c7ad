"""The figure of coefficients, against the exact ones of the claim about it."""

import numpy as np
import pytest

from figures.coefficients import DECIMALS, RELEASED, ROWS, compute, draw, excess
from figures.definition import Settings
from paper_checks.park2022.axes import SIDE
from paper_checks.park2022.fig4 import MIXUP, as_printed, bands, of_the_laws

NAMES = {RELEASED: "GMix, released kernel"}  # of the figure and of the claim


@pytest.fixture(scope="module")
def numbers():
    return compute(Settings())


@pytest.fixture(scope="module")
def exact():
    return {"printed": as_printed(), "law": of_the_laws("inside")}


@pytest.mark.parametrize("kind", ROWS)
def test_coefficients_are_the_exact_ones(numbers, exact, kind):
    row = numbers["rows"][kind]
    assert {NAMES.get(name, name) for name in row} == {"Mixup", *exact[kind]}
    for name, each in row.items():
        method = exact[kind].get(NAMES.get(name, name))
        for x, y in [(0, 0), (1, 0), (0, -1), (17, 30), (17, -30), (40, 3), (63, 63), (63, -63)]:
            expected = float(MIXUP if method is None else method.displaced(x, y))
            assert abs(each["values"][x][SIDE - 1 + y] - expected) <= 10.0**-DECIMALS, (name, x, y)


@pytest.mark.parametrize("kind", ROWS)
def test_what_is_hatched_is_what_the_claim_counts(numbers, exact, kind):
    expected = {name: band.count / (2 * SIDE - 1) ** 2 for name, band in bands(exact[kind]).items()}
    for name, each in numbers["rows"][kind].items():
        assert each["not between Mixup and CutMix"] == expected.get(NAMES.get(name, name), 0), name


def test_excess():
    maps = {"Mixup": np.array([0.3, 0.3]), "CutMix": np.array([0.5, 0.1])}
    for value, outside in ((0.4, [False, True]), (0.2, [True, False]), (0.3, [False, False]), (0.6, [True, True])):
        assert ((excess(np.full(2, value), maps) > 0) == outside).all()


def test_picture_has_one_scale_and_whole_maps(numbers):
    picture = draw(numbers)
    images = [ax.images[0] for ax in picture.axes if ax.images]
    assert len(images) == 10
    assert {image.get_clim() for image in images} == {(0, max(image.get_array().max() for image in images))}
    for image in images:
        values = np.asarray(image.get_array())
        assert values.shape == (2 * SIDE - 1, 2 * SIDE - 1)
        np.testing.assert_array_equal(values, values[::-1, ::-1])


def test_cuts_start_at_no_displacement(numbers):
    picture = draw(numbers)
    cuts = [ax for ax in picture.axes if len(ax.lines) > 4]
    for ax, kind in zip(cuts, ROWS, strict=True):
        assert {line.get_label() for line in ax.lines} == set(numbers["rows"][kind])
        for line in ax.lines:
            expected = numbers["rows"][kind][line.get_label()]["values"][0][SIDE - 1 :]
            np.testing.assert_array_equal(line.get_ydata(), expected)
    assert len({repr((line._unscaled_dash_pattern, line.get_linewidth())) for line in cuts[-1].lines}) == 6
