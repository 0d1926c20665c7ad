"""Graph networks in two parts, between which MixupE mixes: an encoder, GIN of Xu et al. (2018), and a head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from verify.graph_files import Graphs

LAYERS, HIDDEN, DROPOUT = 5, 64, 0.5


class Layer(nn.Module):
    """h_v -> MLP(h_v + sum of h_u over the neighbours u of v), of Linear, BatchNorm, ReLU, twice: GIN with eps = 0."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        parts = [(nn.Linear(n, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.ReLU()) for n in (inputs, HIDDEN)]
        self.mlp = nn.Sequential(*(module for part in parts for module in part))

    def forward(self, h: Tensor, edges: Tensor) -> Tensor:
        """(nodes, inputs) and edges (2, E) to (nodes, HIDDEN)."""
        return self.mlp(h.index_add(0, edges[0], h[edges[1]]))


class Encoder(nn.Module):
    """Graphs to (graphs, width): the sum over the nodes of each graph after every layer."""

    width = LAYERS * HIDDEN

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(inputs if k == 0 else HIDDEN) for k in range(LAYERS))

    def forward(self, graphs: Graphs) -> Tensor:
        h, readouts = graphs.x, []
        for layer in self.layers:
            h = layer(h, graphs.edges)
            readouts.append(h.new_zeros(len(graphs), HIDDEN).index_add(0, graphs.graph, h))
        return torch.cat(readouts, 1)


class Network(nn.Module):
    """The encoder, and a head with one hidden layer that classifies its readouts: graphs to (graphs, classes)."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.encoder = Encoder(inputs)
        hidden = nn.Linear(Encoder.width, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT)
        self.head = nn.Sequential(*hidden, nn.Linear(HIDDEN, classes))

    def forward(self, graphs: Graphs) -> Tensor:
        return self.head(self.encoder(graphs))
