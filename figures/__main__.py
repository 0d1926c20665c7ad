"""python -m figures: the papers' figures and tables, as numbers (JSON) and as pictures of these (PDF, PNG).

Numbers that lie in the folder already, made with the same settings and versions, are not computed again: an
interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from figures.data_sets import KINDS, checked, how_to_give
from figures.definition import Figure, Settings
from figures.files import is_made, prepare_folder
from figures.making import make_all
from figures.registry import ALL, FIGURES, select


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    if options.list:
        print(*map(_described, FIGURES.values()), sep="\n")
        return 0
    try:
        chosen = select(options.ids)
        settings = _settings(options, bool(chosen))
        able = [figure for figure in chosen if _has_data(figure, settings)]
        if ALL not in options.ids and len(able) < len(chosen):
            raise ValueError(_missing(next(figure for figure in chosen if figure not in able)))
        prepare_folder(options.out)
    except ValueError as error:
        print(f"figures: {error}", file=sys.stderr)
        return 2
    for figure in chosen:
        if figure not in able:
            print(_missing(figure), file=sys.stderr)
    return _make(able, settings, options)


def _make(figures: Sequence[Figure], settings: Settings, options: argparse.Namespace) -> int:
    """Figure by figure; one that cannot be made is told of, and the others are made nevertheless."""
    plans = [(figure, _settled(figure, settings, options)) for figure in figures]
    left = [figure for figure, own in plans if not is_made(figure, own, options.out)]
    expected = _duration(sum(figure.seconds for figure in left) / options.jobs)
    there = f"{len(figures) - len(left)} of {len(figures)} figures are there; the others take about {expected}"
    print(there, file=sys.stderr)
    failed = 0
    for k, made in enumerate(make_all(plans, options.out, options.jobs), start=1):
        print(f"figure {k} of {len(figures)}: {made.id}, {made.seconds:.0f} s", file=sys.stderr)
        if made.error:
            print(f"figures: {made.id}: {made.error}", file=sys.stderr)
            failed = 1
        print("".join(f"{path}\n" for path in made.files), end="", flush=True)
    return failed


def _settled(figure: Figure, settings: Settings, options: argparse.Namespace) -> Settings:
    """With as many seeds as are usual for the figure, where the command names no number."""
    if options.seeds is not None or figure.seeds is None:
        return settings
    return replace(settings, seeds=figure.seeds)


def _has_data(figure: Figure, settings: Settings) -> bool:
    return bool(figure.needs) or any(text.partition(":")[0] in figure.takes for text in settings.data)


def _missing(figure: Figure) -> str:
    ways = "; or ".join(map(how_to_give, figure.takes))
    return f"{figure.id} is not made, it needs data that is not here: {ways}"


def _described(figure: Figure) -> str:
    """One line: the id, how long it takes here, what it needs, what it is."""
    other = "".join(f" | --data {kind}:DIR" for kind in figure.takes)
    needs = f"{figure.needs}{other}" if figure.needs else other.removeprefix(" | ")
    return f"{figure.id:20} {_duration(figure.seconds):>6}  {needs:62} {figure.title} ({figure.source})"


def _duration(seconds: float) -> str:
    if not seconds:
        return "-"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _settings(options: argparse.Namespace, chosen: bool) -> Settings:
    if not chosen:
        raise ValueError(f"no figure is named: needed are ids ({', '.join(FIGURES)}) or {ALL!r}")
    if options.out is None:
        raise ValueError("--out is missing: needed is a folder for the files")
    if options.seeds is not None and options.seeds < 1:
        raise ValueError(f"--seeds={options.seeds}: needed is a number >= 1")
    if options.jobs < 1:
        raise ValueError(f"--jobs={options.jobs}: needed is a number >= 1")
    if options.seed < 0:
        raise ValueError(f"--seed={options.seed}: needed is a number >= 0")
    named: dict[str, int] = {} if options.seeds is None else {"seeds": options.seeds}
    return Settings(**named, seed=options.seed, data=checked(options.data))


def _parser() -> argparse.ArgumentParser:
    usual = Settings()
    parser = argparse.ArgumentParser(
        prog="python -m figures",
        description=__doc__,
        epilog="\n".join(["data sets of your own:", *(f"  {how_to_give(kind)}" for kind in KINDS)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help=f"figures to make, or {ALL!r}; --list names them")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for ID.json, ID.pdf and ID.png")
    many = f"how many (default {usual.seeds}, or what is usual for the figure)"
    parser.add_argument("--seeds", type=int, metavar="N", help=many)
    parser.add_argument("--seed", type=int, default=usual.seed, metavar="S", help=f"the first (default {usual.seed})")
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="KIND:DIR",
        help=f"a data set of yours instead of what is here, for the figures that take it: {', '.join(KINDS)}",
    )
    cores = os.cpu_count() or 1
    parser.add_argument("--jobs", type=int, default=cores, metavar="J", help=f"figures at a time (default {cores})")
    parser.add_argument("--list", action="store_true", help="list what there is, how long it takes and what it needs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
