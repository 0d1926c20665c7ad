"""Which theorems' hypotheses on the masks and labels are met, and which expansion of the loss is right."""

from __future__ import annotations

from dataclasses import dataclass

from msda_theory.audit._moments import Estimate

MET, NOT_MET, UNDECIDED = "met", "not met", "not decided"


@dataclass(frozen=True)
class Hypothesis:
    """A theorem, whether its hypotheses on M and N are met, and why."""

    theorem: str
    verdict: str
    reason: str


@dataclass(frozen=True)
class Facts:
    """What the theorems ask about: the gaps of E[M] from w 1, the exchange of roles, the label rule."""

    constant: bool
    gaps: tuple[Estimate, Estimate]
    roles: Estimate
    symmetric_ratio: bool
    rule: str
    bound: float

    @property
    def mean_is_ratio(self) -> bool:
        return self.constant or max(gap.excess for gap in self.gaps) <= 1

    @property
    def alike(self) -> bool | None:
        """Whether both samples of a pair see the same law; None where the law of the ratio is not symmetric."""
        if self.constant:
            return True
        return self.roles.excess <= 1 if self.symmetric_ratio else None


def hypotheses(facts: Facts) -> tuple[Hypothesis, ...]:
    """One line a theorem.  "met" means: exactly, or no gap above the stated bounds."""
    mean, why = _mean(facts)
    wrong_label = facts.rule == "swapped"
    setting = NOT_MET if wrong_label else mean
    if wrong_label:
        why = "the label's weight is that of the other sample"
    return (
        Hypothesis("Park et al., Theorem 1: E[M] = lambda 1 and N = lambda", setting, why),
        Hypothesis("Park et al., Theorem 1, roles: 1-M at lambda has the law of M at 1-lambda", *_roles(facts)),
        Hypothesis("Park et al., Theorem 2: A - (1-lambda)^2 11^T >= 0", *_second(mean)),
        Hypothesis("Park et al., Theorems 3 and 4: the regularisers of Theorem 1", setting, "as Theorem 1; the rest "
                   "concerns the model and the loss"),
        Hypothesis("Zhang et al., Lemma 3.1: M = lambda 1", *_constant(facts)),
    )  # fmt: skip


def _mean(facts: Facts) -> tuple[str, str]:
    if facts.constant:
        return MET, "exactly: M = w 1 in every draw, w the label's weight"
    worst = max(facts.gaps, key=lambda gap: gap.excess)
    size = float(abs(worst.value).max())
    if facts.mean_is_ratio:
        return MET, f"no pixel's E[M - w] differs from 0 by more than its bound, at most {facts.bound:.3f}"
    return NOT_MET, f"E[M - w] reaches {size:.3f}, {worst.excess:.1f} times its bound: the mean depends on the pixel"


def _roles(facts: Facts) -> tuple[str, str]:
    if facts.constant:
        return MET, "exactly: M is constant"
    if facts.alike is None:
        return UNDECIDED, "the law of the ratio is not symmetric, so the roles differ by the ratio alone"
    if facts.alike:
        return MET, "second moments of the two roles agree within their bounds"
    return NOT_MET, f"second moments of the two roles differ, {facts.roles.excess:.1f} times the bound"


def _second(mean: str) -> tuple[str, str]:
    if mean == MET:
        return MET, "where E[M] = lambda 1 this matrix is the covariance of M"
    return UNDECIDED, "with E[M] other than lambda 1 it is a covariance plus an indefinite matrix of rank two"


def _constant(facts: Facts) -> tuple[str, str]:
    if facts.constant and facts.rule != "swapped":
        return MET, "exactly, in every draw"
    return NOT_MET, "the label's weight is the partner's" if facts.rule == "swapped" else "M depends on the pixel"


def expansion(facts: Facts) -> str:
    """The expansion of the loss that is right for it."""
    if facts.rule == "swapped":
        return "none: put the label right first; as it stands E[w M] jointly is needed, which no theorem has"
    if facts.constant:
        return "Theorem 1 as printed; the two-role form, the library's default, is the same for M = lambda 1"
    label = (
        "label='realised', joint moments of M and its area" if facts.rule in ("realised", "none") else "nominal label"
    )
    if facts.alike and facts.mean_is_ratio and facts.rule == "nominal":
        return "no difference found between Theorem 1 as printed and the two-role form, the library's default"
    return f"the two-role form, the library's default ({label}); Theorem 1 as printed is not right for it"
