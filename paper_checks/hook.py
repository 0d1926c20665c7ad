#!/usr/bin/env python3
"""What `.pre-commit-hooks.yaml` runs in other repositories: the quick profile of this checkout.

Checked is the msda_theory that is installed there, in the environment of whoever commits, and not the one beside this
file; so the checkout comes last on the path.
"""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path


def main() -> int:
    sys.path[:1] = []
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    try:
        importlib.metadata.version("msda_theory")
        from paper_checks.__main__ import main as check
    except ImportError as error:
        print(
            f"paper_checks: {error}; needed is an environment with msda_theory and its extra 'checks', in which "
            f"the hook runs: {sys.executable} has none",
            file=sys.stderr,
        )
        return 2
    return check(["--quick", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
