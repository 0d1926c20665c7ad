"""GIN against dense adjacency matrices; what does not depend on how graphs are numbered and put together."""

from dataclasses import replace

import pytest
import torch

from verify.graph_files import Graphs
from verify.graph_networks import HIDDEN, LAYERS, Encoder, Layer, Network


@pytest.fixture
def graphs():
    """Three graphs of 4, 5 and 2 nodes with edges at random, features at random."""
    rng = torch.Generator().manual_seed(1)
    graph = torch.tensor([0] * 4 + [1] * 5 + [2] * 2)
    same = graph[:, None] == graph[None]
    upper = (torch.rand(11, 11, generator=rng) < 0.6).triu(1) & same
    edges = (upper | upper.T).nonzero().T
    return Graphs(torch.randn(11, 3, generator=rng), edges, graph, torch.tensor([0, 1, 0]), 2)


@pytest.fixture
def encoder():
    """With running means and variances of its own."""
    torch.manual_seed(2)
    encoder = Encoder(3)
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    return encoder.eval()


def dense(graphs):
    adjacency = torch.zeros(len(graphs.x), len(graphs.x))
    for v, u in graphs.edges.T.tolist():
        adjacency[v, u] += 1
    return adjacency


def test_a_layer_adds_the_neighbours(graphs):
    layer = Layer(3)
    expected = layer.mlp((torch.eye(11) + dense(graphs)) @ graphs.x)
    torch.testing.assert_close(layer(graphs.x, graphs.edges), expected)
    assert [type(module).__name__ for module in layer.mlp] == ["Linear", "BatchNorm1d", "ReLU"] * 2


def test_readouts_are_sums_over_the_nodes_after_every_layer(graphs, encoder):
    h, members = graphs.x, torch.nn.functional.one_hot(graphs.graph).float()
    expected = []
    for layer in encoder.layers:
        h = layer.mlp(h + dense(graphs) @ h)
        expected.append(members.T @ h)
    found = encoder(graphs)
    assert found.shape == (3, Encoder.width) == (3, LAYERS * HIDDEN)
    torch.testing.assert_close(found, torch.cat(expected, 1))


def test_the_numbers_of_the_nodes_do_not_matter(graphs, encoder):
    order = torch.randperm(11, generator=torch.Generator().manual_seed(3))
    renamed = replace(graphs, x=graphs.x[order], graph=graphs.graph[order], edges=order.argsort()[graphs.edges])
    torch.testing.assert_close(encoder(renamed), encoder(graphs))


def test_graphs_together_are_encoded_as_each_alone(graphs, encoder):
    alone = [encoder(graphs.take(torch.tensor([k]))) for k in (2, 0)]
    torch.testing.assert_close(encoder(graphs.take(torch.tensor([2, 0]))), torch.cat(alone))
    torch.testing.assert_close(encoder(graphs)[[2, 0]], torch.cat(alone))


def test_the_head_classifies_readouts_and_is_not_linear(graphs):
    network = Network(3, 4).eval()
    assert network(graphs).shape == (3, 4)
    assert torch.equal(network(graphs), network.head(network.encoder(graphs)))
    x = torch.randn(2, Encoder.width)
    assert not torch.allclose(network.head(x.mean(0)), network.head(x).mean(0))
