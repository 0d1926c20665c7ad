"""The search for violations of an inequality."""

import pytest
import torch

from verify.violations import climb, margins, search


def hidden(at):
    """1 - |t - c|^2 <= 1/2, violated within 1/sqrt(2) of a point far out, where hardly any draw falls."""
    centre = torch.full((at.shape[1],), 6.0, dtype=at.dtype)
    return 1 - (at - centre).square().sum(-1), torch.full((len(at),), 0.5, dtype=at.dtype)


def cauchy(at):
    """v.w <= |v| |w|: true, and tight where v and w are parallel."""
    v, w = at.chunk(2, -1)
    return (v * w).sum(-1), v.norm(dim=-1) * w.norm(dim=-1)


def test_ascent_finds_what_draws_do_not():
    found = search(hidden, 4, trials=200, steps=400, seed=1)
    assert float(margins(hidden, found.at[None])[0]) == pytest.approx(found.worst)
    assert found.worst == pytest.approx(1 / 3, abs=1e-3)  # 1 against 1/2 at the centre
    assert search(hidden, 4, trials=200, steps=0, seed=1).worst < 0


def test_a_true_inequality_is_not_violated_and_its_tightness_found():
    found = search(cauchy, 6, trials=300, seed=2)
    assert found.worst <= 8 * torch.finfo(torch.float64).eps
    assert found.tightness == pytest.approx(1, abs=1e-6)
    assert set(found.figures("cauchy").values()) == {300, 32, found.worst, found.tightness}


def test_search_repeats_itself_and_changes_with_the_seed():
    first, again, other = (search(cauchy, 4, trials=50, steps=5, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.at, again.at) and first.worst == again.worst
    assert not torch.equal(first.at, other.at)


def test_cases_without_finite_sides_are_left_out():
    def sides(at):
        return at[:, 0].log(), torch.zeros(len(at), dtype=at.dtype)

    at = torch.tensor([[-1.0], [0.0], [2.0]], dtype=torch.float64)
    assert margins(sides, at).isfinite().tolist() == [False, False, True]


def test_an_ascent_keeps_its_best_point_and_its_start():
    starts = torch.full((1, 1), 1.0, dtype=torch.float64)
    given = starts.clone()
    best = climb(lambda at: (1 - at[:, 0] ** 2, torch.ones(1, dtype=at.dtype)), starts, 100)
    assert abs(float(best)) < 0.05 and torch.equal(starts, given)
