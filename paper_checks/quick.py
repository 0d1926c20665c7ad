"""`--quick`: the claims that show most in half a minute, for a commit hook.

The choice depends on what is recorded, and is the same on a slow machine: `verdicts.toml` has verdicts and kinds of
evidence, `seconds.toml` what both runs of a claim took when it was first recorded.  Taken is, cheapest first and as
long as it fits into BUDGET, a claim of every kind of evidence, then one of every verdict of every paper, one of every
file of checks, and then any.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from paper_checks import record
from paper_checks.registry import Claim, printed_claims
from verify.files import write_atomically

PATH = Path(__file__).parent / "seconds.toml"
#: seconds of the processor; with the start of the processes, two cores need less than half a minute
BUDGET = 15.0
#: what a claim costs beside its check
LEAST = 0.01


def read(path: Path = PATH) -> dict[str, float]:
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def add(seconds: Mapping[str, float], path: Path = PATH) -> None:
    """Write the seconds, to two digits, of claims that have none yet; the others stay, so that the choice does."""
    known = read(path)
    entries = {name: float(f"{max(s, LEAST):.2g}") for name, s in seconds.items()} | known
    if entries == known:
        return
    lines = [f'"{name}" = {entries[name]}' for name in printed_claims() if name in entries]
    header = "# Written by `python -m paper_checks --record`: seconds of the processor for a new claim, both runs."
    write_atomically(path, "\n".join([header, *lines, ""]))


def chosen(claims: Iterable[Claim], budget: float = BUDGET) -> list[Claim]:
    """The claims of the quick profile, in the order given; a claim that is not recorded is not among them."""
    recorded, seconds = record.read(), read()
    known = [c for c in claims if c.id in recorded and c.id in seconds]
    kinds: Sequence[Callable[[Claim], object]] = (
        lambda c: recorded[c.id]["evidence"],
        lambda c: (_paper(c), recorded[c.id]["verdict"]),
        lambda c: c.module,
        lambda c: c.id,
    )
    taken: dict[str, Claim] = {}
    for kind in kinds:
        for group in _groups(known, kind, seconds):
            cheapest = group[0]
            fits = sum(seconds[name] for name in taken) + seconds[cheapest.id] <= budget
            if fits and not any(c.id in taken for c in group):
                taken[cheapest.id] = cheapest
    return [c for c in known if c.id in taken]


def _groups(
    claims: Iterable[Claim], kind: Callable[[Claim], object], seconds: Mapping[str, float]
) -> list[list[Claim]]:
    """The claims of a kind together; the cheapest first in each group, and the groups by their cheapest."""
    groups = defaultdict(list)
    for c in sorted(claims, key=lambda c: (seconds[c.id], c.id)):
        groups[kind(c)].append(c)
    return list(groups.values())


def _paper(claim: Claim) -> str:
    return claim.id.partition(":")[0]
