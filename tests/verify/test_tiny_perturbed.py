"""The rational oracle of the perturbed loss against the older one, by hand, and where it must be exact."""

from __future__ import annotations

import pytest
from flint import fmpq

from paper_checks.carratino2022.printed import LAWS, SQUARE, bent, merged_risk, printed_risk, straight
from paper_checks.exact_cases import problem
from verify.tiny_laws import mixup
from verify.tiny_perturbed import Perturbed, TinyRatio, atoms, beta, mixup_loss, of_class
from verify.tiny_problems import BetaInt, msda_loss

ONE = fmpq(1)


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (3, 1)])
def test_the_mixup_loss_is_that_of_the_older_oracle(linear: bool, shape: tuple[int, int]) -> None:
    p = problem(2, 3, linear=linear, centred=False)
    assert mixup_loss(of_class(p), beta(*shape)) == msda_loss(p, mixup(2), BetaInt(*shape))


def test_the_square_by_hand() -> None:
    """E[u^2]/2 over the four pairs of 0 and 1: (0 + E lambda^2 + E (1-lambda)^2 + 1)/8 = 5/24 for the uniform law."""
    assert mixup_loss(SQUARE, beta(1, 1)) == fmpq(5, 24)
    assert mixup_loss(SQUARE, atoms({fmpq(1, 2): ONE})) == fmpq(3, 16)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_laws_have_mass_one_folded_and_conditioned(law: TinyRatio) -> None:
    assert law.mean(lambda t: ONE) == law.folded().mean(lambda t: ONE) == law.conditioned().mean(lambda t: ONE) == 1
    assert law.folded().mean(lambda t: t * (1 - t)) == law.mean(lambda t: t * (1 - t))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_both_forms_of_theorem_3_and_the_polynomial(law: TinyRatio) -> None:
    perturbed = Perturbed(straight(4), law.folded())
    risk = printed_risk(perturbed)
    assert risk.printed == risk.merged
    assert perturbed.coefficients() == [risk.standard, 0, risk.merged, 0, 0]
    assert mixup_loss(straight(4), law) == risk.standard + risk.merged


def test_planted_faults_are_seen() -> None:
    perturbed = Perturbed(bent(4), LAWS[0].folded())
    assert printed_risk(perturbed, unsigned=True).printed != printed_risk(perturbed).printed
    assert merged_risk(perturbed, halved=True).merged != merged_risk(perturbed).merged
    assert perturbed.loss(exchanged=True) != perturbed.loss()
    assert perturbed.covariance(0, bent(4).x, bent(4).x, unsquared=True) != perturbed.covariance(
        0, bent(4).x, bent(4).x
    )
