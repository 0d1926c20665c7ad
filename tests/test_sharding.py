"""Sums in parts: the same rows however many processes make them (threads stand in for these), kept and taken up."""

import math
import threading
from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

import msda_theory as mt
from msda_theory import _sharding, exact
from msda_theory._sharding import PartialSum, Team, in_parts, sharing, team, total
from msda_theory.expansions import routes
from tests.helpers import assert_close
from verify.scaled_loss import scaled_loss, shares
from verify.tolerances import rounding

PARTS = list(range(11))
SHAPE = (3, 4)
LOSS = mt.losses.SoftmaxCrossEntropy()
AUGMENTATION = mt.Augmentation(mt.Beta(0.7, 2.0), mt.masks.CutMix(SHAPE, sampler="inside"))


def together(size: int, command: Callable[[], object]) -> list[object]:
    """What the command returns in each of the processes of a team."""
    barrier, sent, returned = threading.Barrier(size, timeout=20), [None] * size, [None] * size

    def gather(rank, own):
        sent[rank] = own
        barrier.wait()
        every = list(sent)
        barrier.wait()
        return every

    def process(rank):
        with sharing(Team(rank, size, lambda own: gather(rank, own))):
            returned[rank] = command()

    threads = [threading.Thread(target=process, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return returned


def row(part):
    return torch.tensor([part, part**2], dtype=torch.float64)


@pytest.mark.parametrize("seconds", [0.0, math.inf], ids=["a part a round", "one round"])
@pytest.mark.parametrize("size", [1, 2, 3, 20])
@torch.no_grad()
def test_every_part_is_made_once_and_comes_to_all(size, seconds, monkeypatch):
    monkeypatch.setattr(_sharding, "ROUND", seconds)
    made = []

    def command():
        with torch.no_grad():
            return in_parts("a sum", lambda part: (made.append(part), row(part))[1], PARTS)

    for found in together(size, command):
        assert torch.equal(found, in_parts("a sum", row, PARTS))
    assert sorted(made) == PARTS


@cache
def problem():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, *SHAPE, dtype=torch.float64, generator=generator)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    return model, LOSS, x, torch.arange(6) % 3


def scaled(model, loss, x, y, augmentation):
    with torch.no_grad():
        return scaled_loss(model, loss, x, loss.prepare(y, model(x)), shares(augmentation), 0.5).value


def value(name):
    options = {"monte-carlo": {"method": "monte-carlo", "samples": 1001, "seed": 3}, "drawn": {"directions": 40}}
    given, more = (*problem(), AUGMENTATION), options.get(name, {})
    if name in ("enumerate", "monte-carlo"):
        found = mt.exact_loss(*given, **more)
        return [found.value, found.error, found.evaluations]
    if name in ("exact factor", "drawn"):
        found = mt.taylor_loss(*given, seed=5, **more)
        return [found.standard, found.r1, found.r2, found.r3, found.error]
    if name == "mean points":
        found = mt.mean_point_loss(*given)
        return [found.standard, found.label, found.r2, found.r3]
    return [scaled(*given)]


SUMS = ("enumerate", "monte-carlo", "exact factor", "drawn", "mean points", "shortened moves")


@pytest.mark.parametrize("name", SUMS)
def test_sums_do_not_depend_on_the_number_of_processes(name, monkeypatch):
    monkeypatch.setattr(exact, "CHUNK_ELEMENTS", 2**10)
    monkeypatch.setattr(routes, "CHUNK", {"cpu": 2**7})
    monkeypatch.setattr(routes, "LEAST", 1)
    alone = torch.tensor(value(name), dtype=torch.float64)  # makes the network too, before there are threads
    cut = []
    monkeypatch.setattr(Team, "rows", lambda self, *a, rows=Team.rows: (cut.append(len(a[2])), rows(self, *a))[1])
    for size in (1, 2, 3):
        for found in together(size, lambda: value(name)):
            assert found is not None
            assert_close(torch.tensor(found, dtype=torch.float64), alone, rounding(torch.float64, 1.0, 1000), name)
    assert max(cut) > 3, "a sum in one part is not shared"


def test_draws_are_pooled_as_one_sample(monkeypatch):
    """Blocks of unlike sizes, the last of one draw: mean and standard error are those of all draws together."""
    monkeypatch.setattr(exact, "CHUNK_INPUTS", 50)
    drawn = []

    def draw(n, rng):
        drawn.append(torch.from_numpy(5 + rng.standard_normal(n)))
        return drawn[-1]

    found = exact.monte_carlo(draw, 151, torch.zeros(2, 3), 0)
    values = torch.cat(drawn)
    assert [len(block) for block in drawn] == [50, 50, 50, 1]
    assert len(values.unique()) == 151, "no two blocks draw the same"
    assert_close(found.value, float(values.mean()), rounding(torch.float64, 10.0, 151))
    assert_close(found.error, float(values.std()) / 151**0.5, rounding(torch.float64, 10.0, 151))


def test_draws_follow_the_seed_and_move_a_generator_on():
    given = (*problem(), AUGMENTATION)
    first, again = (mt.exact_loss(*given, method="monte-carlo", samples=50, seed=7) for _ in range(2))
    rng = np.random.default_rng(7)
    one, other = (mt.exact_loss(*given, method="monte-carlo", samples=50, seed=rng) for _ in range(2))
    assert first == again == one != other


@torch.no_grad()
def test_what_was_kept_is_not_made_again(monkeypatch):
    monkeypatch.setattr(_sharding, "ROUND", 0.0)
    kept, made = [], []

    def broken(part):
        if part == 7:
            raise RuntimeError("planted")
        return row(part)

    def keep(sums):
        kept[:] = [replace(one, rows=dict(one.rows)) for one in sums]

    with sharing(Team(keep=keep)):
        whole = in_parts("first", row, PARTS)
        with pytest.raises(RuntimeError, match="planted"):
            in_parts("second", broken, PARTS)
    with sharing(Team(sums=kept)):
        again = [in_parts(what, lambda part: (made.append(part), row(part))[1], PARTS) for what in ("first", "second")]
    assert made == PARTS[7:]
    assert all(torch.equal(found, whole) for found in again)


@torch.no_grad()
@pytest.mark.parametrize(("what", "parts"), [("another", 11), ("a sum", 12)])
def test_sums_of_another_run_are_refused(what, parts):
    with (
        sharing(Team(sums=[PartialSum(what, parts)])),
        pytest.raises(ValueError, match=f"{what!r} in {parts} was kept"),
    ):
        in_parts("a sum", row, PARTS)


@torch.no_grad()
def test_processes_that_make_unlike_sums_are_stopped():
    unlike = Team(0, 2, lambda own: [own, PartialSum("a sum", 12, {11: [0.0, 0.0]})])
    with sharing(unlike), pytest.raises(ValueError, match="'a sum' in 12 is made by another process"):
        in_parts("a sum", row, PARTS)


@pytest.mark.parametrize("shared", [False, True])
def test_gradients_are_recorded_whole(shared):
    """Rows of other processes have no graph: where one is recorded, each makes all parts and none is waited for."""
    model, loss, x, y = deepcopy(problem())
    labels, table = loss.prepare(y, model(x).detach()), AUGMENTATION.table(4)

    def forbidden(own):
        raise AssertionError("a team met")

    with sharing(Team(0, 2, forbidden)) if shared else nullcontext():
        exact.pair_loss(model, loss, x, labels, table).backward()
        terms = mt.expansions.taylor_terms(model, loss, x, labels, AUGMENTATION.seen()).total
        terms.backward()
    assert all(bool(p.grad.abs().sum() > 0) for p in model.parameters())


def test_a_total_is_rounded_once_and_may_overflow():
    assert total([1e16, 1.0, 1.0, -1e16]) == total([1.0, 1e16, -1e16, 1.0]) == 2.0
    assert total([1e308, 1e308]) == math.inf == total([math.inf, 1.0])
    assert math.isnan(total([math.inf, -math.inf]))


def test_a_team_ends_with_its_block():
    assert team() is None
    with sharing(Team(1, 2)):
        assert team().rank == 1
    assert team() is None
