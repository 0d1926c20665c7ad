"""Training on cycles against stars: folds, losses of the three methods, and the choice of epoch and cell."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from msda_theory import Beta
from msda_theory.losses import SoftmaxCrossEntropy
from msda_theory.mixupe import mixupe_penalty
from verify.graph_files import Graphs
from verify.graph_networks import Network
from verify.graph_training import FOLDS, Scores, best, folds, loss, of_readouts, train
from verify.tabular_training import Cell

ERM, MIXUP, MIXUPE = Cell(0.0, 0.0), Cell(0.5, 0.0), Cell(0.5, 1.0)


def cycles_and_stars(count):
    """`count` of each, of 4 to 8 nodes, which all look alike."""
    edges, graph, start = [], [], 0
    for k in range(2 * count):
        size = 4 + k // 2 % 5
        pairs = [(0, j) for j in range(1, size)] if k % 2 else [(j, (j + 1) % size) for j in range(size)]
        edges += [(start + a, start + b) for pair in pairs for a, b in (pair, pair[::-1])]
        graph += [k] * size
        start += size
    y = torch.arange(2 * count) % 2
    return Graphs(torch.ones(start, 1), torch.tensor(edges).T, torch.tensor(graph), y, 2)


GRAPHS = cycles_and_stars(12)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network(1, 2)


@pytest.mark.parametrize("cell", [ERM, MIXUP, MIXUPE], ids=lambda cell: cell.method)
def test_cycles_are_told_from_stars(cell):
    errors = train(GRAPHS, folds(GRAPHS, 0)[0], cell, 0, epochs=40)
    assert errors.shape == (40,) and errors[-5:].max() == 0
    assert np.array_equal(errors, train(GRAPHS, folds(GRAPHS, 0)[0], cell, 0, epochs=40))


def test_folds_part_the_graphs_with_both_classes_in_each():
    found = folds(GRAPHS, 4)
    assert len(found) == FOLDS and sorted(torch.cat([test for _, test in found]).tolist()) == list(range(24))
    for rows, test in found:
        assert sorted([*rows.tolist(), *test.tolist()]) == list(range(24))
        assert set(GRAPHS.y[test].tolist()) == {0, 1}
    assert not torch.equal(found[0][1], folds(GRAPHS, 5)[0][1])


def test_too_few_graphs_of_a_class_are_refused():
    with pytest.raises(ValueError, match="a class has 9 graphs: needed are 10"):
        folds(cycles_and_stars(9), 0)


def found_loss(network, cell, graphs=GRAPHS):
    torch.manual_seed(7)
    return loss(network, graphs, of_readouts(cell, 2))


def test_without_mixing_it_is_the_cross_entropy(network):
    torch.manual_seed(7)
    expected = cross_entropy(network(GRAPHS), GRAPHS.y)
    torch.testing.assert_close(found_loss(network, ERM), expected)


def test_mixup_with_the_ratio_at_its_ends_has_the_loss_of_whole_readouts(network):
    """alpha = 1e-6: the ratio is 0 or 1, and the mixed batch is the batch, in another order perhaps."""
    network.head.eval()
    torch.testing.assert_close(found_loss(network, Cell(1e-6, 0.0)), found_loss(network, ERM))


def test_mixup_mixes_readouts_and_classes(network):
    network.head.eval()
    torch.manual_seed(7)
    x, y = of_readouts(MIXUP, 2).transform(network.encoder(GRAPHS), GRAPHS.y)
    assert ((y > 0.01) & (y < 0.99)).any()
    expected = -(y * network.head(x).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(found_loss(network, MIXUP), expected)


def test_mixupe_is_mixup_s_loss_in_size_and_the_penalty_s_in_direction(network):
    """kappa (L + eta R) = L in value; its gradient is kappa that of L + eta R of the head's outputs."""
    encoder, head = network.double().encoder, network.head.eval()
    graphs, ratio = replace(GRAPHS, x=GRAPHS.x.double()), Beta(0.5, 0.5)
    mixup, mixupe = (found_loss(network, cell, graphs) for cell in (MIXUP, MIXUPE))
    torch.testing.assert_close(mixupe, mixup)
    penalty = mixupe_penalty(head, SoftmaxCrossEntropy(), encoder(graphs), graphs.y, ratio, approximate=True)
    total, weights = mixup + penalty, list(encoder.parameters())
    expected = torch.autograd.grad((mixup / total).detach() * total, weights)
    torch.testing.assert_close(torch.autograd.grad(mixupe, weights), expected)


def test_a_loss_that_is_not_finite_is_told(network):
    torch.nn.init.constant_(network.head[0].weight, float("inf"))
    with pytest.raises(FloatingPointError, match="training diverged"):
        found_loss(network, ERM)


def test_epochs_are_needed():
    with pytest.raises(ValueError, match="epochs=0"):
        train(GRAPHS, folds(GRAPHS, 0)[0], ERM, 0, epochs=0)


def test_the_best_has_the_least_mean_error_at_one_epoch_for_all_folds():
    even = Scores(ERM, np.array([[0.2, 0.1, 0.1], [0.2, 0.1, 0.1]]))
    uneven = Scores(MIXUP, np.array([[0.0, 0.4, 0.3], [0.4, 0.0, 0.0]]))
    assert even.epoch == 1 and uneven.epoch == 2 and uneven.chosen.tolist() == [0.3, 0.0]
    assert best([uneven, even]) is even
    assert best([even, Scores(MIXUPE, even.errors)]) is even
