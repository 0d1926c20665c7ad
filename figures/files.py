"""A figure as files, each whole or not at all: ID.json first, then ID.pdf and ID.png (a table: ID.md) from it."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import sys
import tempfile
from dataclasses import asdict, replace
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

import msda_theory
import verify
from figures.definition import Figure, Numbers, Settings
from figures.style import style
from verify.files import write_atomically

PICTURES = ("pdf", "png")
DECISIVE = ("schema", "figure", "versions", "settings")
PACKAGES = ("matplotlib", "numpy", "scikit-image", "scikit-learn", "scipy", "torch")


def prepare_folder(folder: Path) -> None:
    """Make the folder if need be, and try that files can be written there; ValueError where not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"--out={folder}: needed is a folder that can be written ({error.strerror})") from error


def write_figure(figure: Figure, settings: Settings, folder: Path) -> list[Path]:
    """Compute, write the numbers, read them back and draw them: the paths written.

    Numbers that are there already, of the same fingerprint, are not computed again.
    """
    path = folder / f"{figure.id}.json"
    if not is_made(figure, settings, folder):
        numbers = provenance(figure, settings) | figure.compute(settings)
        numbers["fingerprint"] = fingerprint(figure, settings)
        write_atomically(path, json.dumps(numbers, indent=1, allow_nan=False) + "\n")
    return [path, *write_pictures(figure, path)]


def is_made(figure: Figure, settings: Settings, folder: Path) -> bool:
    """Do the figure's numbers lie in the folder, from the same settings and the same versions?"""
    try:
        numbers = json.loads((folder / f"{figure.id}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(numbers, dict) and numbers.get("fingerprint") == fingerprint(figure, settings)


def fingerprint(figure: Figure, settings: Settings) -> str:
    """Of what decides the numbers: figure, settings, the user's data that it takes, versions and source code."""
    decisive = {name: value for name, value in provenance(figure, settings).items() if name in DECISIVE}
    compute = figure.compute.func if isinstance(figure.compute, partial) else figure.compute
    own = Path(str(sys.modules[compute.__module__].__file__)).read_bytes()
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode() + own + _source_code()).hexdigest()[:16]


@cache
def _source_code() -> bytes:
    """A digest of all that the figures compute with."""
    folders = (Path(str(package.__file__)).parent for package in (msda_theory, verify))
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".toml"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).digest()


def write_pictures(figure: Figure, path: Path) -> list[Path]:
    """Draw the numbers in a JSON file, beside it; a table also as Markdown."""
    numbers = json.loads(path.read_text(encoding="utf-8"))
    picture = figure.draw(numbers)
    written = []
    if figure.markdown is not None:
        written.append(path.with_suffix(".md"))
        write_atomically(written[-1], figure.markdown(numbers))
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
    data = tuple(text for text in settings.data if text.partition(":")[0] in figure.takes)
    versions = {"python": platform.python_version(), "msda_theory": msda_theory.__version__}
    return {
        "schema": 1,
        "figure": figure.id,
        "title": figure.title,
        "source": figure.source,
        "versions": versions | {name: version(name) for name in PACKAGES},
        "settings": asdict(replace(settings, data=data)),
    }


def _undated(kind: str) -> dict[str, None]:
    return {"CreationDate": None} if kind == "pdf" else {}
