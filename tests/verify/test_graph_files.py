"""TUDataset's files, made here in their format, against counts by hand; and what is said of broken ones."""

import numpy as np
import pytest
import torch

from verify.graph_files import graphs

#: a triangle, a path of three and a single edge; node labels 7, 0 and 7
FILES = {
    "A": "1, 2\n2, 1\n2, 3\n3, 2\n1, 3\n3, 1\n4, 5\n5, 4\n5, 6\n6, 5\n8, 7\n7, 8\n",
    "graph_indicator": "1\n1\n1\n2\n2\n2\n3\n3\n",
    "graph_labels": "1\n-1\n1\n",
    "node_labels": "7\n0\n7\n7\n7\n0\n0\n7\n",
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "SMALL").mkdir()
    for part, text in FILES.items():
        (tmp_path / "SMALL" / f"SMALL_{part}.txt").write_text(text)
    return tmp_path


def test_files_are_read(folder):
    found = graphs(folder, "SMALL")
    assert len(found) == 3 and found.classes == 2 and found.y.tolist() == [1, 0, 1]
    assert found.graph.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    assert found.edges.shape == (2, 12) and found.edges[:, 6].tolist() == [3, 4]
    assert found.x.dtype == torch.float32 and found.x[:, 1].tolist() == [1, 0, 1, 1, 1, 0, 0, 1]
    assert found.x.sum(1).tolist() == [1] * 8


def test_nodes_without_labels_have_their_degree(folder):
    (folder / "SMALL" / "SMALL_node_labels.txt").unlink()
    x = graphs(folder, "SMALL").x
    assert x.shape == (8, 2) and x.argmax(1).tolist() == [1, 1, 1, 0, 1, 0, 0, 0]  # degree 1, degree 2


def test_graphs_are_taken_in_the_order_asked_for(folder):
    whole = graphs(folder, "SMALL")
    some = whole.take(torch.tensor([2, 0]))
    assert some.y.tolist() == [1, 1] and some.graph.tolist() == [1, 1, 1, 0, 0]
    assert torch.equal(some.x, whole.x[[0, 1, 2, 6, 7]])
    assert sorted(some.edges.T.tolist()) == [[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1], [3, 4], [4, 3]]
    everything = whole.take(torch.arange(3))
    assert torch.equal(everything.edges, whole.edges) and torch.equal(everything.x, whole.x)


@pytest.mark.parametrize(
    ("part", "content", "said"),
    [
        ("A", None, "has no SMALL_A.txt"),
        ("graph_labels", None, "has no SMALL_graph_labels.txt"),
        ("A", "1, b\n", "SMALL_A.txt cannot be read: .*; needed are integers"),
        ("A", "1\n2\n", "SMALL_A.txt has 1 numbers a line"),
        ("A", "1, 2\n2, 9\n", "an edge to node 9: needed are 1 to 8"),
        ("A", "1, 2\n0, 1\n", "an edge to node 0"),
        ("A", "1, 2\n3, 4\n", r"between two graphs, \[3 4\]"),
        ("graph_indicator", "1\n1\n1\n2\n2\n2\n4\n4\n", "the numbers 1 to 3"),
        ("graph_indicator", "1\n1\n2\n1\n2\n2\n3\n3\n", "the numbers 1 to 3"),
        ("graph_labels", "1\n-1\n", "the numbers 1 to 2"),
        ("graph_labels", "1\n-1\n1\n1\n", "the numbers 1 to 4"),
        ("graph_labels", "5\n5\n5\n", "1 classes: needed are two"),
        ("node_labels", "7\n0\n", "has 2 labels: needed are as many as nodes, 8"),
    ],
)
def test_broken_files_are_told(folder, part, content, said):
    path = folder / "SMALL" / f"SMALL_{part}.txt"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=said):
        graphs(folder, "SMALL")


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"has no MUTAG_A\.txt"):
        graphs(tmp_path, "MUTAG")


def test_numbers_are_whole(folder):
    found = graphs(folder, "SMALL")
    assert {found.edges.dtype, found.graph.dtype, found.y.dtype} == {torch.int64}
    assert np.unique(found.y).tolist() == [0, 1]
