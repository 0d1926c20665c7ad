"""The networks trained side by side are those that ordinary code trains one at a time."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from msda_theory import Beta
from msda_theory.losses import SoftmaxCrossEntropy
from msda_theory.mixupe import mixupe_penalty
from verify.tabular_training import BATCH, HIDDEN, STEP, TABLES, Cell, Scores, best, grid, ratios, split, train

CELLS = [Cell(0.0, 0.0), Cell(0.5, 0.0), Cell(0.5, 1.0)]
EPOCHS = 3


def alone(cell, seed):
    """Wine's test error and validation loss, by torch's layers, numpy's batches and eq. (5) with kappa by hand."""
    data_seed, start, order = (int(s) for s in np.random.SeedSequence(seed).generate_state(3))
    parts, classes = split("wine", [data_seed])
    x, y = parts["train"].x[0], parts["train"].y[0]
    with torch.random.fork_rng():
        torch.manual_seed(start)
        sizes = [x.shape[1], *HIDDEN, classes]
        linear = [nn.Linear(*pair) for pair in pairwise(sizes)]
    model = nn.Sequential(linear[0], nn.ReLU(), linear[1], nn.ReLU(), linear[2]).eval()
    optimiser, rng = torch.optim.Adam(model.parameters(), lr=STEP), np.random.default_rng(order)
    for _ in range(EPOCHS):
        first, second = rng.permutation(len(x)), rng.permutation(len(x))
        for k in range(0, len(x), BATCH):
            i, j = first[k : k + BATCH], second[k : k + BATCH]
            lam = stats.beta.ppf(rng.random(), cell.alpha, cell.alpha) if cell.alpha else (rng.random(), 1.0)[1]
            f = model(lam * x[i] + (1 - lam) * x[j])
            losses = [nn.functional.cross_entropy(f, label) for label in (y[i], y[j])]
            loss = lam * losses[0] + (1 - lam) * losses[1]
            if cell.eta:
                ratio = Beta(cell.alpha, cell.alpha)
                penalty = mixupe_penalty(model, SoftmaxCrossEntropy(), x[i], y[i], ratio, approximate=True)
                total = loss + cell.eta * penalty
                loss = total * (loss / total).detach()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        wrong = (model(parts["test"].x[0]).argmax(1) != parts["test"].y[0]).double().mean()
        validation = nn.functional.cross_entropy(model(parts["validation"].x[0]), parts["validation"].y[0])
    return float(wrong), float(validation)


@pytest.mark.parametrize("cell", CELLS, ids=["ERM", "Mixup", "MixupE"])
def test_a_network_among_others_is_trained_as_if_alone(cell):
    scores = next(s for s in train("wine", CELLS, [3, 8], epochs=EPOCHS) if s.cell == cell)
    for k, seed in enumerate((3, 8)):
        wrong, validation = alone(cell, seed)
        assert scores.test_error[k] == pytest.approx(wrong)
        assert scores.validation_loss[k] == pytest.approx(validation, rel=1e-4)  # float32, summed in another order


def test_the_penalty_changes_the_training():
    _, mixup, mixupe = train("wine", CELLS, [0], epochs=EPOCHS)
    assert abs(mixup.validation_loss[0] - mixupe.validation_loss[0]) > 1e-3


def test_grid_has_the_paper_s_cells_those_with_a_penalty_last():
    cells = grid()
    assert len(cells) == 1 + 9 + 9 * 5 == len(set(cells))
    assert [c.eta > 0 for c in cells] == [False] * 10 + [True] * 45


def test_ratios_are_quantiles_and_one_without_mixing():
    found = ratios(np.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0]), np.array([0.25, 0.75]))
    quantile = stats.beta.ppf([0.25, 0.75], 2, 2)
    np.testing.assert_allclose(found, [1, 1, 0.25, 0.75, *quantile], rtol=1e-6)


@pytest.mark.parametrize("table", TABLES)
def test_parts_are_the_table_standardised_by_the_training_part(table):
    parts, classes = split(table, [1, 2])
    assert sum(part.y.shape[1] for part in parts.values()) == len(TABLES[table]().target)
    x = parts["train"].x[1]
    torch.testing.assert_close(x.mean(0), torch.zeros(x.shape[1]), atol=1e-5, rtol=0)
    spread = x.std(0, correction=0)
    torch.testing.assert_close(spread[spread > 0], torch.ones(int((spread > 0).sum())), atol=1e-4, rtol=0)
    assert not torch.equal(parts["test"].y[0], parts["test"].y[1])
    assert int(parts["train"].y.max()) + 1 == classes


def test_the_best_has_the_least_validation_error_and_then_the_least_loss():
    def score(errors, loss):
        return Scores(Cell(0.0, 0.0), errors, (loss,), (0.0,))

    many, tied, chosen = score((0.2, 0.2), 0.1), score((0.0, 0.2), 0.9), score((0.2, 0.0), 0.5)
    assert best([many, tied, chosen]) is chosen


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("moons", CELLS, [0]), "table='moons'"), (("wine", CELLS[::-1], [0]), "eta = 0 first")],
)
def test_refuses(arguments, said):
    with pytest.raises(ValueError, match=said):
        train(*arguments, epochs=1)


def test_refuses_no_epochs():
    with pytest.raises(ValueError, match="epochs=0"):
        train("wine", CELLS, [0], epochs=0)
