"""The import rules of pyproject.toml hold, and each of them rejects a tree that breaks it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
CONTRACTS = {contract["name"]: contract["id"] for contract in CONFIG["contracts"]}

# contract, and what is planted where; two plants make a chain
VIOLATIONS = [
    ("one-way", {"msda_theory.ratios": "import verify"}),
    ("one-way", {"msda_theory.ratios": "def late():\n    from verify import __doc__"}),
    ("one-way", {"verify": "import paper_checks"}),
    ("one-way", {"verify": "import figures"}),
    ("one-way", {"figures": "import paper_checks"}),
    ("one-way", {"paper_checks": "import figures"}),
    ("floors", {"msda_theory.exact": "import msda_theory.expansions"}),
    ("floors", {"msda_theory.derivatives": "from msda_theory import exact"}),
    ("floors", {"msda_theory.masks": "from .. import augmentation"}),
    ("floors", {"msda_theory.ratios": "import msda_theory.masks"}),
    ("floors", {"msda_theory.losses": "import msda_theory.ratios"}),
    ("floors", {"msda_theory.augmentation": "import msda_theory.comparison"}),
    ("floors", {"msda_theory.without_a_floor": ""}),
    ("floors", {"msda_theory.masks": "from msda_theory import compare",
                "msda_theory": "from msda_theory.comparison import compare"}),
    ("oracle", {"msda_theory.exact": "from msda_theory.expansions import taylor_loss"}),
    ("oracle", {"msda_theory.exact": "import msda_theory.derivatives"}),
    ("oracle", {"msda_theory.exact": "import msda_theory.masks",
                "msda_theory.masks": "import msda_theory.derivatives"}),
    ("theory", {"msda_theory.expansions": "from msda_theory.exact import exact_loss"}),
    ("theory", {"msda_theory.derivatives": "import msda_theory.exact"}),
    ("oracle", {"msda_theory.exact_many": "import msda_theory.derivatives"}),
    ("theory", {"msda_theory.expansions": "import msda_theory.exact_many"}),
    ("oracle", {"msda_theory.exact_sobol": "import msda_theory.chebyshev",
                "msda_theory.chebyshev": "import msda_theory.derivatives"}),
    ("oracle", {"msda_theory.exact_grid": "import msda_theory.expansions"}),
    ("theory", {"msda_theory.derivatives": "import msda_theory.exact_linear"}),
    ("laws", {"msda_theory.folded_ratios": "import msda_theory.losses"}),
    ("laws", {"msda_theory.masks": "import msda_theory.losses"}),
    ("algebra", {"msda_theory.symbolic": "import msda_theory.ratios"}),
    ("algebra", {"msda_theory.symbolic": "import torch"}),
    ("algebra", {"msda_theory.symbolic": "from numpy.polynomial import Polynomial"}),
    ("installed", {"msda_theory.ratios": "import flint"}),
    ("installed", {"msda_theory.comparison": "import matplotlib.pyplot"}),
    ("installed", {"msda_theory.audit": "import kornia"}),
    ("tests-outside", {"verify": "import tests.helpers"}),
]  # fmt: skip

PERMITTED = {
    "msda_theory": "from msda_theory.exact import exact_loss\nfrom msda_theory.symbolic import theorem",
    "msda_theory.symbolic": "import sympy",
    "msda_theory.masks": "import msda_theory.ratios, torch, linear_operator",
    "msda_theory.augmentation": "from . import masks, ratios",
    "msda_theory.exact": "from msda_theory import augmentation, losses",
    "msda_theory.expansions": "from msda_theory import augmentation, derivatives, losses",
    "msda_theory.comparison": "from msda_theory import exact, expansions",
    "verify": "import msda_theory, sklearn.datasets",
    "paper_checks": "import flint, msda_theory.symbolic, verify",
    "figures": "import matplotlib, msda_theory, verify",
}


def lint(tree: Path) -> dict[str, bool]:
    """Of each contract, by its id, whether import-linter finds it kept in this tree."""
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "300", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    outcomes = dict(re.findall(r"^(.+?) (KEPT|BROKEN)\b", run.stdout, flags=re.MULTILINE))
    assert outcomes.keys() == CONTRACTS.keys(), f"import-linter did not judge:\n{run.stdout}\n{run.stderr}"
    kept = {CONTRACTS[name]: outcome == "KEPT" for name, outcome in outcomes.items()}
    assert (run.returncode == 0) == all(kept.values()), run.stdout
    return kept


def file_of(tree: Path, module: str) -> Path:
    path = tree.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def plant(tree: Path, statements: dict[str, str]) -> None:
    for module, statement in statements.items():
        file_of(tree, module).write_text(statement + "\n", encoding="utf-8")


@pytest.fixture
def skeleton(tmp_path):
    """The real tree with every file emptied, under the real contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in CONFIG["root_packages"]:
        for source in (ROOT / package).rglob("*.py"):
            empty = tmp_path / source.relative_to(ROOT)
            empty.parent.mkdir(parents=True, exist_ok=True)
            empty.touch()
    return tmp_path


def test_the_tree_keeps_every_contract():
    broken = [contract for contract, kept in lint(ROOT).items() if not kept]
    assert not broken, "run lint-imports to see where"


def test_the_skeleton_keeps_every_contract(skeleton):
    assert all(lint(skeleton).values())


def test_permitted_imports_are_accepted(skeleton):
    plant(skeleton, PERMITTED)
    assert all(lint(skeleton).values())


@pytest.mark.parametrize(("contract", "statements"), VIOLATIONS, ids=lambda value: str(value)[:70])
def test_a_violation_is_rejected(skeleton, contract, statements):
    plant(skeleton, statements)
    assert not lint(skeleton)[contract]


def test_every_contract_has_a_violation():
    assert {contract for contract, _ in VIOLATIONS} == set(CONTRACTS.values())
