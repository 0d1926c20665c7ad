"""`python -m verify --audit`: what law of masks an augmentation draws, and what theory applies to it."""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import platform
import warnings
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch

import msda_theory as mt
from msda_theory.audit import LABELS, AugmentationFailedError
from verify.audit_markdown import markdown
from verify.files import require_writable, write_atomically
from verify.models import UserCodeError, called, load, user_trace

SCHEMA = 1
LIBRARIES = {"kornia": "kornia.augmentation", "torchvision": "torchvision.transforms.v2", "timm": "timm.data"}
NEED = "needed is kornia:NAME, torchvision:NAME, timm:NAME, each with arguments if need be, or path/to/file.py:NAME"
FILES = ("json", "markdown", "figure")


def run(argv: Sequence[str]) -> None:
    """Audit what is named, print the reports, write the files; errors are raised before any file is written."""
    settings = parser().parse_args(argv)
    for name in FILES:
        if (path := getattr(settings, name)) is not None:
            require_writable(path, f"--{name}")
    draw = None if settings.figure is None else _drawing(settings.figure.suffix)
    augmentations = [augmentation(spec) for spec in settings.audit]
    reports = [_audited(spec, a, settings) for spec, a in zip(settings.audit, augmentations, strict=True)]
    for report in reports:
        print(report)
    contents: dict[str, Callable[[], str | bytes]] = {
        "json": lambda: json.dumps(_data(reports, settings), allow_nan=False) + "\n",
        "markdown": lambda: markdown(reports, _command(argv), _versions(), _picture_name(settings)),
        "figure": lambda: draw(reports) if draw else b"",
    }
    for name in FILES:
        if (path := getattr(settings, name)) is not None:
            write_atomically(path, contents[name]())


def augmentation(spec: str) -> Callable[..., Any]:
    """The augmentation that is named: LIBRARY:NAME, LIBRARY:NAME(key=value, ...) or path/to/file.py:NAME."""
    place, _, name = spec.rpartition(":") if "(" not in spec else spec.partition(":")
    argument = f"--audit={spec}"
    if not place or not name:
        raise ValueError(f"{argument}: {NEED}")
    if place in LIBRARIES:
        return _from_library(place, name, argument)
    if Path(place).suffix != ".py":
        raise ValueError(f"{argument}: {place!r} is no library known here and no Python file; {NEED}")
    found = getattr(load(Path(place), argument), name, None)
    if not callable(found):
        kind = "has no such function" if found is None else f"is a {type(found).__name__}"
        raise ValueError(f"{argument} {kind}: needed is a callable (x, y) -> mixed (x, y)")
    return found


def _from_library(library: str, call: str, argument: str) -> Callable[..., Any]:
    try:
        module = importlib.import_module(LIBRARIES[library])
    except (ImportError, RuntimeError, OSError) as error:
        raise ValueError(
            f"{argument}: {library} cannot be imported here ({type(error).__name__}: {error}); install it, with what "
            f"it needs, for the torch {torch.__version__} that is here"
        ) from error
    name, options = _parsed(call, argument)
    kind = getattr(module, name, None)
    if not isinstance(kind, type):
        raise ValueError(f"{argument}: {LIBRARIES[library]} has no class {name!r}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return called(lambda: kind(**options), argument)


def _parsed(call: str, argument: str) -> tuple[str, dict[str, Any]]:
    """NAME or NAME(key=value, ...), the values Python literals."""
    try:
        tree = ast.parse(call, mode="eval").body
        if isinstance(tree, ast.Name):
            return tree.id, {}
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.args:
            return tree.func.id, {str(k.arg): ast.literal_eval(k.value) for k in tree.keywords}
    except (SyntaxError, ValueError):
        pass
    raise ValueError(f"{argument}: {call!r} is not NAME or NAME(key=value, ...) with plain values; {NEED}")


def _audited(spec: str, given: Callable[..., Any], settings: Namespace) -> mt.AuditReport:
    chosen = ("batch", "draws", "seed", "false_alarm", "labels")
    try:
        return mt.audit(given, tuple(settings.shape), **{key: getattr(settings, key) for key in chosen})
    except AugmentationFailedError as error:
        cause = error.__cause__ or error
        raise UserCodeError(f"--audit={spec}: {error}", user_trace(cause)) from error


def _drawing(suffix: str) -> Callable[[Sequence[mt.AuditReport]], bytes]:
    try:
        from verify.audit_picture import FORMATS, picture
    except ImportError as error:
        raise ValueError(f"--figure needs matplotlib, which cannot be imported ({error})") from error
    if suffix not in FORMATS:
        raise ValueError(f"--figure: its name ends in {suffix!r}, needed is one of {', '.join(FORMATS)}")
    return lambda reports: picture(reports, FORMATS[suffix])


def _picture_name(settings: Namespace) -> str | None:
    return None if settings.figure is None else settings.figure.name


def _command(argv: Sequence[str]) -> str:
    quoted = (f"'{word}'" if set(word) & set("()*? ") else word for word in argv)
    return " ".join(["python -m verify", *quoted])


def _versions() -> dict[str, str]:
    versions = {m.__name__: str(m.__version__) for m in (mt, torch, numpy)}
    return {"python": platform.python_version(), **versions}


def _data(reports: Sequence[mt.AuditReport], settings: Namespace) -> dict[str, Any]:
    return {"schema": SCHEMA, "versions": _versions(), "audits": [report.to_dict() for report in reports]}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m verify",
        description="What law of masks an augmentation draws, and what theory applies to it.",
        allow_abbrev=False,
    )
    top.add_argument("--audit", nargs="+", required=True, metavar="SPEC", help=NEED.removeprefix("needed is "))
    top.add_argument("--shape", nargs=3, type=int, default=[3, 32, 48], metavar=("C", "H", "W"), help="3 32 48")
    top.add_argument("--batch", type=int, default=6, metavar="N", help="images a call; 6")
    top.add_argument("--draws", type=int, default=2000, metavar="N", help="calls; 2000")
    top.add_argument("--labels", choices=LABELS, help="what a function of your own takes as y; one-hot")
    top.add_argument("--false-alarm", type=float, default=1e-6, metavar="P", help="that any bound fails; 1e-6")
    top.add_argument("--seed", type=int, default=0, help="of all calls; 0")
    top.add_argument("--json", type=Path, metavar="F", help="write the reports with their maps to F")
    top.add_argument("--markdown", type=Path, metavar="F", help="write the reports as Markdown to F")
    top.add_argument("--figure", type=Path, metavar="F.png", help="draw the maps to F (png, pdf or svg)")
    return top
