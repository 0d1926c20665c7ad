"""A figure as files, each whole or not at all: ID.json first, then ID.pdf and ID.png drawn from it."""

from __future__ import annotations

import io
import json
import platform
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import msda_theory
from figures.definition import Figure, Numbers, Settings
from figures.style import style
from verify.files import write_atomically

PICTURES = ("pdf", "png")
PACKAGES = ("matplotlib", "numpy", "scikit-learn", "scipy", "torch")


def prepare_folder(folder: Path) -> None:
    """Make the folder if need be, and try that files can be written there; ValueError where not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"--out={folder}: needed is a folder that can be written ({error.strerror})") from error


def write_figure(figure: Figure, settings: Settings, folder: Path) -> list[Path]:
    """Compute, write the numbers, read them back and draw them: the paths written."""
    numbers = provenance(figure, settings) | figure.compute(settings)
    path = folder / f"{figure.id}.json"
    write_atomically(path, json.dumps(numbers, indent=1, allow_nan=False) + "\n")
    return [path, *write_pictures(figure, path)]


def write_pictures(figure: Figure, path: Path) -> list[Path]:
    """Draw the numbers in a JSON file, beside it."""
    picture = figure.draw(json.loads(path.read_text(encoding="utf-8")))
    written = []
    for kind in PICTURES:
        buffer = io.BytesIO()
        with style():
            # no date, so that the same numbers give the same file
            picture.savefig(buffer, format=kind, metadata={"Title": figure.title} | _undated(kind))
        written.append(path.with_suffix(f".{kind}"))
        write_atomically(written[-1], buffer.getvalue())
    return written


def provenance(figure: Figure, settings: Settings) -> Numbers:
    """What a reader needs to compute the numbers again."""
    versions = {"python": platform.python_version(), "msda_theory": msda_theory.__version__}
    return {
        "schema": 1,
        "figure": figure.id,
        "title": figure.title,
        "source": figure.source,
        "versions": versions | {name: version(name) for name in PACKAGES},
        "settings": asdict(settings),
    }


def _undated(kind: str) -> dict[str, None]:
    return {"CreationDate": None} if kind == "pdf" else {}
