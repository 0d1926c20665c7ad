"""Do the cosines R_i = |cos(grad f(x_i), x_i)| grow?  Before and after compared in pairs over the runs.

Two numbers of a run are looked at: the logarithm of R = min_i R_i after over before, and the share of the samples whose
R_i grew, less a half.  If before and after could change places, both would be as likely with either sign: Wilcoxon's
signed-rank test, two-sided, runs without a change left out.  A tendency is called one if chance would show it as
clearly with a probability of at most `ALARM`, the false-alarm rate of one comparison; of k, at most k times that.

That there is none is not shown by such a test, which calls the smallest tendency one with runs enough.  Shown is that
the mean share is near a half: below 1/2 + `SLIGHT`, by the t interval of the same rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.stats import t, wilcoxon
from torch import Tensor

from paper_checks.findings import Trial
from verify.cosine_training import CosineRuns
from verify.ensembles import Moment

ALARM = 1e-3
SLIGHT = 0.05
GROWS, FALLS, NEITHER = "grows", "falls", "no tendency"
TRAINING, AFTER = "in training", "after 100%"


@dataclass(frozen=True)
class Tendency:
    """`rose` of `of` runs grew, the others fell; `chance` is that of something as clear without a tendency."""

    rose: int
    of: int
    chance: float
    direction: str

    @classmethod
    def of_gains(cls, gains: Tensor) -> Tendency:
        """From one gain a run, (s,): infinite where R was, or becomes, 0, and nan where it stays so."""
        changed = gains[(gains != 0) & ~gains.isnan()].numpy()
        if not len(changed):
            return cls(0, 0, 1.0, NEITHER)
        chance, falling = (float(wilcoxon(changed, alternative=side).pvalue) for side in ("two-sided", "less"))
        clear = FALLS if falling < 0.5 else GROWS
        return cls(int((changed > 0).sum()), len(changed), chance, clear if chance <= ALARM else NEITHER)

    def __str__(self) -> str:
        return f"{self.direction} (up in {self.rose} of {self.of} runs, p = {self.chance:.1g})"


@dataclass(frozen=True)
class Growth:
    """From one time to another: R, the typical R_i, and the share of samples whose R_i grew: in the median run, and
    the bound that the mean share is below, but for `ALARM`."""

    least: Tendency
    typical: Tendency
    share: float
    below: float

    @property
    def slight(self) -> bool:
        """No more than about half of the R_i grew."""
        return self.below < 0.5 + SLIGHT

    def figures(self, name: str, period: str) -> dict[str, str]:
        return {
            f"{name}: R {period}": str(self.least),
            f"{name}: samples whose R_i grew {period}": (
                f"{self.share:.0%} (mean below {self.below:.0%}); more than half: {self.typical}"
            ),
        }


def magnitudes(moment: Moment, runs: CosineRuns, trial: Trial) -> Tensor:
    """R_i, (s, n).  Planted: the gradient at the sample before."""
    return moment.cosines(trial.plant(runs.x, runs.x.roll(-1, dims=1))).abs()


def growth(runs: CosineRuns, period: str, trial: Trial) -> Growth:
    """From the initialisation to the end; or, for the runs that got there before the end, from 100% accuracy on."""
    kept = torch.ones_like(runs.reached, dtype=torch.bool) if period == TRAINING else separated(runs)
    first = runs.start if period == TRAINING else runs.separated
    before, after = (magnitudes(moment, runs, trial)[kept] for moment in (first, runs.end))
    share = (after > before).double().mean(1)
    least = Tendency.of_gains((after.amin(1) / before.amin(1)).log())
    return Growth(least, Tendency.of_gains(share - 0.5), float(share.median()), _bound(share))


def _bound(share: Tensor) -> float:
    """Above the mean of the law of the shares (s,), with confidence 1 - ALARM."""
    half_width = t.isf(ALARM, len(share) - 1) * share.std() / len(share) ** 0.5
    return float(share.mean() + half_width)


def separated(runs: CosineRuns) -> Tensor:
    """The runs (s,) that stayed at 100% accuracy from some epoch before the last one on."""
    return (runs.reached >= 0) & (runs.reached < runs.epochs[-1])


def where_from(runs: CosineRuns) -> str:
    """The growth of log |f(x_i)| after 100%, its mean over samples and runs, in parts; for networks without biases.

    There log |f| = log |grad f| + log |x| + log R_i.
    """
    kept, now, before = separated(runs), runs.end, runs.separated
    output = float((now.output / before.output)[kept].abs().log().mean())
    gradient = float((now.gradient.norm(dim=-1) / before.gradient.norm(dim=-1))[kept].log().mean())
    return f"{output:.3f} = {gradient:.3f} by |grad f| {output - gradient:+.3f} by R_i"


def levels(runs: CosineRuns, trial: Trial) -> str:
    """R at the start, at 100% and at the end: the median over the runs, and the range of the last."""
    kept = separated(runs)
    start, middle, end = (magnitudes(m, runs, trial).amin(1) for m in (runs.start, runs.separated, runs.end))
    medians = ", ".join(f"{float(v.median()):.2g}" for v in (start, middle[kept], end))
    return f"{medians} ({float(end.min()):.2g} to {float(end.max()):.2g})"
