"""python -m figures: the papers' figures, as numbers (JSON) and as pictures of these (PDF, PNG)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from figures.definition import Settings
from figures.files import prepare_folder, write_figure
from figures.registry import ALL, FIGURES, select


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    if options.list:
        for figure in FIGURES.values():
            print(f"{figure.id:16} {figure.source:30} {figure.title}")
        return 0
    try:
        chosen = select(options.ids)
        settings = _settings(options, bool(chosen))
        prepare_folder(options.out)
    except ValueError as error:
        print(f"figures: {error}", file=sys.stderr)
        return 2
    for figure in chosen:
        try:
            written = write_figure(figure, settings, options.out)
        except FloatingPointError as error:
            print(f"figures: {figure.id}: {error}", file=sys.stderr)
            return 1
        print(*written, sep="\n")
    return 0


def _settings(options: argparse.Namespace, chosen: bool) -> Settings:
    if not chosen:
        raise ValueError(f"no figure is named: needed are ids ({', '.join(FIGURES)}) or {ALL!r}")
    if options.out is None:
        raise ValueError("--out is missing: needed is a folder for the files")
    if options.seeds < 1:
        raise ValueError(f"--seeds={options.seeds}: needed is a number >= 1")
    if options.seed < 0:
        raise ValueError(f"--seed={options.seed}: needed is a number >= 0")
    return Settings(seeds=options.seeds, seed=options.seed)


def _parser() -> argparse.ArgumentParser:
    usual = Settings()
    parser = argparse.ArgumentParser(prog="python -m figures", description=__doc__)
    parser.add_argument("ids", nargs="*", metavar="ID", help=f"figures to make, or {ALL!r}; --list names them")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for ID.json, ID.pdf and ID.png")
    parser.add_argument("--seeds", type=int, default=usual.seeds, metavar="N", help=f"how many (default {usual.seeds})")
    parser.add_argument("--seed", type=int, default=usual.seed, metavar="S", help=f"the first (default {usual.seed})")
    parser.add_argument("--list", action="store_true", help="list the figures, make none")
    return parser


if __name__ == "__main__":
    sys.exit(main())
