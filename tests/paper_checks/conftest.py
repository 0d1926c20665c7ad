"""A ledger of every claim that has a check, with stand-ins for what the checks would find."""

from __future__ import annotations

from typing import Any

import pytest

from paper_checks import record, views
from paper_checks.findings import DEPENDS, HOLDS, Corrected, Evidence, Finding
from paper_checks.registry import claims
from paper_checks.runner import Outcome

#: what no view may take for markup
HOSTILE = "<script>alert(1)</script> & 100% #1 $x$ {y} ~z \\end{document} a_b `c` *d* | “λ ≥ 1”"


@pytest.fixture(scope="session")
def ledger() -> dict[str, Any]:
    """The recorded verdicts, or "holds" where none is recorded; hostile text in every reason, correction and figure."""
    chosen = list(claims().values())
    outcomes = [Outcome(c.id, _finding(c.id), True, 0.25) for c in chosen]
    return views.ledger(chosen, outcomes, 0, {"park2022:thm1[cutmix]": "park2022:thm1[cutmix]: found something else"})


def _finding(name: str) -> Finding:
    found = record.read().get(name, {"verdict": HOLDS, "evidence": "exact"})
    figures = {"gap": 1.5e-16, "E_D~[a_jk]": [1, {"lambda": HOSTILE}], HOSTILE: "22633/31104"}
    corrected = Corrected(f"with n_j, {HOSTILE}", HOLDS, Evidence("symbolic", figures))
    return Finding(
        found["verdict"],
        f"a box is no complement of a box, E_D~[a_jk], {HOSTILE}",
        Evidence(found["evidence"], figures),
        None if found["verdict"] in (HOLDS, DEPENDS) else corrected,
    )
