"""The table of claims: what each says (claims.tsv, peers.tsv) and the function that checks it (registered by `@claim`).

claims.tsv holds what the papers claim, peers.tsv what the documentation of other libraries does.
"""

from __future__ import annotations

import csv
import difflib
import fnmatch
import importlib
import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from paper_checks.findings import Finding, Trial

Check = Callable[[Trial], Finding]

MODULES = (
    "park2022.mean_mask",
    "park2022.rewriting",
    "park2022.theorem1",
    "park2022.mask_design",
    "park2022.other_methods",
    "park2022.fmix",
    "park2022.proof",
    "park2022.many_samples",
    "park2022.definitions",
    "park2022.classifier",
    "park2022.certain_class",
    "park2022.first_layer",
    "park2022.loss_class",
    "park2022.rescaled_variance",
    "park2022.glm",
    "park2022.two_layer",
    "park2022.coefficients",
    "park2022.near_far",
    "park2022.stochastic",
    "park2022.hmix",
    "park2022.gmix",
    "park2022.second_order_attack",
    "park2022.cosine_remark",
    "park2022.fig1",
    "park2022.fig4",
    "park2022.adversarial",
    "park2022.adversarial_informal",
    "park2022.generalisation",
    "park2022.masked_network",
    "park2022.uniform_bounds",
    "park2022.retentive",
    "park2022.gradient_products",
    "park2022.printed_tables",
    "zhang2021.lemma31",
    "zhang2021.fig2",
    "zhang2021.fig3",
    "zhang2021.network_class",
    "zhang2021.fig4",
    "zhang2021.glm",
    "zhang2021.glm_proof",
    "zhang2021.manifold",
    "zhang2021.rademacher",
    "zhang2021.generalisation",
    "zhang2021.adversarial_lemma",
    "zhang2021.adversarial_theorem",
    "zhang2021.adversarial_remarks",
    "zhang2021.network_adversary",
    "zhang2021.homogeneity",
    "zhang2021.constants_proof",
    "zhang2021.adversarial_constants",
    "zhang2021.network_constants",
    "mixupe2023.expansion",
    "mixupe2023.first_order",
    "mixupe2023.regulariser",
    "mixupe2023.irreplaceable",
    "mixupe2023.fig2",
    "carratino2022.rewriting",
    "carratino2022.terms",
    "carratino2022.cross_entropy",
    "carratino2022.with_zhang",
    "carratino2022.bounds",
    "carratino2022.readings",
    "carratino2022.ratio_laws",
    "carratino2022.ratio_design",
    "peers.kornia",
)
#: modules with claims about another package, not imported where it is not installed
PEERS = {"peers.kornia": "kornia"}
TABLES = ("claims.tsv", "peers.tsv")


@dataclass(frozen=True)
class Claim:
    """One claim of a paper: id, where it stands, what it says; its check and the fault planted to try the check."""

    id: str
    where: str
    statement: str
    fault: str
    check: Check

    @property
    def module(self) -> str:
        """Where its check is written."""
        return str(getattr(self.check, "func", self.check).__module__)


@dataclass(frozen=True)
class Printed:
    """A row of a table."""

    where: str
    statement: str


_registered: dict[str, Claim] = {}


class UnknownClaimError(ValueError):
    """A pattern that matches no claim."""


@cache
def printed_claims() -> dict[str, Printed]:
    """Every claim of the tables, judged or not, in their order."""
    return {name: printed for table in TABLES for name, printed in _rows(Path(__file__).parent / table)}


def _rows(path: Path) -> list[tuple[str, Printed]]:
    statement = "what is claimed (check it as printed, under the stated assumptions only)"
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(row["id"], Printed(row["where"], row[statement])) for row in rows]


def missing_packages() -> dict[str, list[str]]:
    """Packages that are not installed, with the claims about them, which are not run: "peers:PACKAGE-..."."""
    missing = [package for package in PEERS.values() if importlib.util.find_spec(package) is None]
    return {package: [n for n in printed_claims() if n.startswith(f"peers:{package}-")] for package in missing}


def claim(name: str, *, fault: str) -> Callable[[Check], Check]:
    """Register the check of a claim, with the fault that it plants where `trial.faulty`."""

    def register(check: Check) -> Check:
        printed = printed_claims()[name]
        if name in _registered:
            raise ValueError(f"claim {name!r} is registered twice")
        _registered[name] = Claim(name, printed.where, printed.statement, fault, check)
        return check

    return register


def claims() -> dict[str, Claim]:
    """All registered claims, in the order of the tables; without those about a package that is not installed."""
    missing = missing_packages()
    left_out = {name for names in missing.values() for name in names}
    for module in MODULES:
        if PEERS.get(module) not in missing:
            importlib.import_module(f"paper_checks.{module}")
    return {name: _registered[name] for name in printed_claims() if name in _registered and name not in left_out}


def select(patterns: Iterable[str]) -> list[Claim]:
    """The registered claims that match any of the patterns; `*` and `?` are wild, brackets are literal.

    Raises UnknownClaimError for a pattern that matches none, with the nearest ids.
    """
    known, patterns = claims(), list(patterns)
    for pattern in patterns:
        if not any(matches(name, pattern) for name in known):
            raise UnknownClaimError(_unknown(pattern, known))
    return [c for name, c in known.items() if not patterns or any(matches(name, p) for p in patterns)]


def matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def _unknown(pattern: str, known: Iterable[str]) -> str:
    for package, names in missing_packages().items():
        if any(matches(name, pattern) for name in names):
            return f"claim {pattern!r} is about {package}, which is not installed (the extra 'test' brings it)"
    if any(matches(name, pattern) for name in printed_claims()):
        return f"claim {pattern!r} stands in {' or '.join(TABLES)} and has no check yet"
    near = difflib.get_close_matches(pattern, known, n=3, cutoff=0.3)
    hint = f"; the nearest are {', '.join(near)}" if near else ""
    return f"no claim matches {pattern!r}{hint} (--list shows all)"
