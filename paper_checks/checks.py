"""All checks, imported: what a process needs before it can run one."""

from paper_checks.registry import claims

claims()
