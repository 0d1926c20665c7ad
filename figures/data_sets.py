"""The data sets of the papers that do not ship with a package: what `--data KIND:DIR` takes, and what DIR must hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from figures.definition import Settings


@dataclass(frozen=True)
class Kind:
    """A data set, what its folder holds, and the name that verify.image_sets reads it by, if it is of images."""

    title: str
    holds: str
    reader: str = ""


def _archive(name: str) -> str:
    return f"{name}, unpacked (www.cs.toronto.edu/~kriz/cifar.html)"


def _idx(site: str) -> str:
    return f"train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz and the two of t10k ({site})"


_GRAPHS = "MUTAG, NCI1, PTC_MR, PROTEINS, IMDB-BINARY, IMDB-MULTI, unpacked, all or some"
CLASSES = "a folder a class with .png or .jpg images"
_SPEECH = "speech_commands_v0.01.tar.gz, unpacked (download.tensorflow.org/data)"
KINDS = {
    "cifar10": Kind("CIFAR-10", _archive("cifar-10-python.tar.gz"), "cifar10"),
    "cifar100": Kind("CIFAR-100", _archive("cifar-100-python.tar.gz"), "cifar100"),
    "svhn": Kind("SVHN", "train_32x32.mat and test_32x32.mat (ufldl.stanford.edu/housenumbers)", "svhn"),
    "fashion-mnist": Kind("Fashion-MNIST", _idx("github.com/zalandoresearch/fashion-mnist"), "idx"),
    "kuzushiji-mnist": Kind("Kuzushiji-MNIST", _idx("github.com/rois-codh/kmnist"), "idx"),
    "tiny-imagenet": Kind("Tiny-ImageNet", f"{CLASSES} (cs231n.stanford.edu/tiny-imagenet-200.zip)", "folder"),
    "imagenet": Kind("ImageNet", f"{CLASSES} (image-net.org, or any part of it)", "folder"),
    "speech-commands": Kind("Speech Commands", _SPEECH, "speech"),
    "tudataset": Kind("TUDataset", f"MUTAG/MUTAG_A.txt and so on: {_GRAPHS} (chrsmrrs.github.io/datasets)"),
}


def how_to_give(kind: str) -> str:
    """One line: which data, and where to put it."""
    return f"--data {kind}:DIR, {KINDS[kind].title}: DIR holds {KINDS[kind].holds}"


def checked(given: Sequence[str]) -> tuple[str, ...]:
    """What `--data` was given, one of a kind; ValueError where a kind is none or a folder is not there."""
    for text in given:
        kind, colon, folder = text.partition(":")
        if not colon or kind not in KINDS:
            raise ValueError(f"--data {text}: needed is KIND:DIR with KIND one of {', '.join(KINDS)}")
        if not Path(folder).is_dir():
            raise ValueError(f"--data {text}: {folder!r} is not a folder; needed is {how_to_give(kind)}")
    kinds = [text.partition(":")[0] for text in given]
    twice = [kind for kind in kinds if kinds.count(kind) > 1]
    if twice:
        raise ValueError(f"--data {twice[0]}:DIR is given twice: needed is one folder a kind")
    return tuple(given)


def given(settings: Settings, kind: str) -> str | None:
    """The name for `verify.image_sets.image_set`, or None where no data of the kind was given."""
    there = folder(settings, kind)
    return None if there is None else f"{KINDS[kind].reader}:{there}"


def folder(settings: Settings, kind: str) -> str | None:
    """Where the data of the kind are, or None where none were given."""
    return next((text.partition(":")[2] for text in settings.data if text.partition(":")[0] == kind), None)
