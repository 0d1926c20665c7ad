"""Sets of graphs that the user has on disk, in the text files of TUDataset (chrsmrrs.github.io/datasets)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

PARTS = ("A", "graph_indicator", "graph_labels", "node_labels")


@dataclass(frozen=True)
class Graphs:
    """Graphs in one disjoint union.

    x : (nodes, features), floating          edges : (2, E), each edge both ways
    graph : (nodes,), which of the graphs a node is of          y : (graphs,), integers below `classes`
    """

    x: Tensor
    edges: Tensor
    graph: Tensor
    y: Tensor
    classes: int

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: Tensor) -> Graphs:
        """The graphs of these numbers (b,), each at most once, in that order; nodes stay in theirs."""
        place = _numbered(rows, len(self))
        graph = place[self.graph]
        nodes = (graph >= 0).nonzero().squeeze(1)
        edges = _numbered(nodes, len(graph))[self.edges[:, graph[self.edges[0]] >= 0]]
        return Graphs(self.x[nodes], edges, graph[nodes], self.y[rows], self.classes)

    def to(self, device: torch.device | str) -> Graphs:
        return replace(self, **{name: getattr(self, name).to(device) for name in ("x", "edges", "graph", "y")})


def _numbered(chosen: Tensor, size: int) -> Tensor:
    """Where in `chosen` (k,) each of 0, ..., size - 1 stands; -1 for the others."""
    place = torch.full((size,), -1, device=chosen.device)
    place[chosen] = torch.arange(len(chosen), device=chosen.device)
    return place


def graphs(folder: Path, name: str) -> Graphs:
    """The set `name`; a node's features are its label as one of several, and where nodes have no labels its degree, as
    Xu et al. (2018) have it.

    folder : has NAME/NAME_A.txt, NAME_graph_indicator.txt, NAME_graph_labels.txt, and NAME_node_labels.txt or not

    Raises ValueError where a file is missing or is not as it should be.
    """
    paths = {part: folder / name / f"{name}_{part}.txt" for part in PARTS}
    edges, graph = _integers(paths["A"]), _integers(paths["graph_indicator"]).ravel()
    classes, y = np.unique(_integers(paths["graph_labels"]).ravel(), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"{paths['graph_labels']} has {len(classes)} classes: needed are two at least")
    _require_numbered(paths["graph_indicator"], graph, len(y))
    _require_edges(paths["A"], edges, graph)
    x = _features(paths["node_labels"], edges[:, 0] - 1, len(graph))
    ends, own = torch.from_numpy(edges.T - 1), torch.from_numpy(graph - 1)
    return Graphs(x, ends, own, torch.from_numpy(y), len(classes))


def _integers(path: Path) -> np.ndarray:
    """(lines, numbers a line)."""
    if not path.is_file():
        raise ValueError(f"{path.parent} has no {path.name}: needed is a set of TUDataset, unpacked")
    try:
        return np.loadtxt(path, dtype=np.int64, delimiter=",", ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}; needed are integers") from error


def _require_numbered(path: Path, graph: np.ndarray, count: int) -> None:
    if not np.isin(np.diff(graph), (0, 1)).all() or (graph[:1].tolist(), graph[-1:].tolist()) != ([1], [count]):
        raise ValueError(f"{path}: needed are the numbers 1 to {count} of the labelled graphs, in order")


def _require_edges(path: Path, edges: np.ndarray, graph: np.ndarray) -> None:
    if edges.shape[1] != 2:
        raise ValueError(f"{path} has {edges.shape[1]} numbers a line: needed are two, the ends of an edge")
    outside = (edges < 1) | (edges > len(graph))
    if outside.any():
        raise ValueError(f"{path} has an edge to node {edges[outside][0]}: needed are 1 to {len(graph)}")
    between = np.ptp(graph[edges - 1], axis=1) > 0
    if between.any():
        raise ValueError(f"{path} has an edge between two graphs, {edges[between][0]}: needed are edges inside one")


def _features(path: Path, ends: np.ndarray, nodes: int) -> Tensor:
    """(nodes, kinds), one 1 a node: of its label, or of its degree without a file of labels."""
    found = _integers(path).ravel() if path.is_file() else np.bincount(ends, minlength=nodes)
    if len(found) != nodes:
        raise ValueError(f"{path} has {len(found)} labels: needed are as many as nodes, {nodes}")
    return one_hot(torch.from_numpy(np.unique(found, return_inverse=True)[1])).float()
