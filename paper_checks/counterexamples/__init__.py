"""Counterexamples to printed inequalities, one file each: small rational data, both sides as formulas (`recheck`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def load(claim: str) -> dict[str, Any]:
    """The counterexample to a claim: zhang2021:thm3.1 is zhang2021-thm3.1.json."""
    name = claim.replace(":", "-").replace("[", "-").replace("]", "")
    example: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    return example
