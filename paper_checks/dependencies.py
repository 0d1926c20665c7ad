"""What rests on what, as the papers state and prove it (dependencies.toml)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from paper_checks.registry import printed_claims
from paper_checks.statements import family

PATH = Path(__file__).parent / "dependencies.toml"


@cache
def dependencies() -> dict[str, tuple[str, ...]]:
    """For every claim of the tables, those that it uses directly, each before what uses it."""
    return resolve(tomllib.loads(PATH.read_text(encoding="utf-8")), tuple(printed_claims()))


def resolve(table: Mapping[str, Iterable[str]], known: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The table with its families spelled out.

    Raises ValueError for a name that is no claim, and graphlib.CycleError where a claim rests on itself.
    """
    for name in table:
        _members(name, None, known)
    graph = {claim: _used(claim, table, known) for claim in known}
    TopologicalSorter(graph).prepare()
    return graph


def _used(claim: str, table: Mapping[str, Iterable[str]], known: tuple[str, ...]) -> tuple[str, ...]:
    name, case = family(claim)
    names = [*table.get(name, ()), *(table.get(claim, ()) if case else ())]
    paper = name.partition(":")[0]
    full = [used if ":" in used else f"{paper}:{used}" for used in names]
    return tuple(dict.fromkeys(member for used in full for member in _members(used, case, known)))


def _members(name: str, case: str | None, known: tuple[str, ...]) -> list[str]:
    """The claim itself; of a family all cases, or for a claim that has a case itself, the same."""
    members = [claim for claim in known if name in (claim, family(claim)[0])]
    if not members:
        raise ValueError(f"dependencies.toml names {name!r}; needed is a claim of claims.tsv or peers.tsv, or a family")
    return members if case is None else [m for m in members if m == name or family(m)[1] == case]
