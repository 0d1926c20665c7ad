"""A batch transform in the shape of torchvision v2's: (x, y) -> (x, y), with soft labels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from msda_theory._validation import require_at_least, require_choice, require_data, require_kind
from msda_theory.augmentation import Augmentation

DRAWS = ("sample", "batch")
SEEDS = 2**63 - 1


class Mix:
    """Mix a batch with itself in another order: x_i -> M_i x_i + (1-M_i) x_p(i), y_i -> w_i y_i + (1-w_i) y_p(i).

    The order p is a uniformly random permutation.  Each p(i) is therefore uniform, i itself included, and the mean
    loss of a transformed batch is the MSDA loss of that batch on average (Park et al., eq. (4); `exact_loss`).

    Parameters
    ----------
    augmentation : any law of the ratio, any mask law, and the label rule: w_i is lambda_i or the mean of M_i
    classes : the number K of classes
    draws : "sample" draws a ratio and a mask for every sample, as eq. (4) has it; "batch" one for all, as the released
        code of the papers and torchvision do.  The mean loss is the same on average, its variance larger for "batch".
    generator : of the randomness; None is torch's global one, which `torch.manual_seed` sets

    Called with x (n, ..., *shape), floating, and y (n,) of integers in [0, K) or rows (n, K), it returns a new x of the
    same shape, dtype and device, and y (n, K) in that dtype: rows that sum to 1 if they did before.  Axes of x between
    the batch and the mask's `shape`, as channels, share a mask.  The arguments stay as they are.

    Raises TypeError or ValueError, before anything is drawn, for a batch that does not fit.

    >>> from msda_theory import Augmentation, Beta, masks
    >>> augmentation = Augmentation(Beta(1.0, 1.0), masks.HMix((32, 48), r=0.5, sampler="inside"))
    >>> mix = Mix(augmentation, classes=10)
    >>> x, y = mix(torch.rand(8, 3, 32, 48), torch.arange(8))
    >>> x.shape, y.shape
    (torch.Size([8, 3, 32, 48]), torch.Size([8, 10]))
    """

    def __init__(
        self,
        augmentation: Augmentation,
        classes: int,
        *,
        draws: str = "sample",
        generator: torch.Generator | None = None,
    ) -> None:
        require_kind("augmentation", augmentation, Augmentation)
        require_at_least("classes", classes, 1, "for rows of labels")
        require_choice("draws", draws, DRAWS)
        if generator is not None:
            require_kind("generator", generator, torch.Generator)
        self.augmentation, self.classes, self.draws, self.generator = augmentation, classes, draws, generator

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        require_data(x, y, self.augmentation.mask.shape, least=1)
        labels = self._rows(y).to(x)
        rng = self._rng()
        partner = torch.from_numpy(rng.permutation(len(x))).to(x.device)
        drawn = self.augmentation.draw(len(x) if self.draws == "sample" else 1, rng)
        lead = [1] * (x.ndim - 1 - len(self.augmentation.mask.shape))
        mask = drawn.masks.to(x).reshape(-1, *lead, *self.augmentation.mask.shape)
        weight = drawn.label.to(x).unsqueeze(1)
        return mask * x + (1 - mask) * x[partner], weight * labels + (1 - weight) * labels[partner]

    def _rows(self, y: Tensor) -> Tensor:
        """Labels as rows (n, K)."""
        if y.ndim == 2 and y.shape[1] == self.classes and y.is_floating_point():
            return y
        if y.ndim != 1 or y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
            raise ValueError(
                f"y has shape {tuple(y.shape)} and dtype {y.dtype}: needed are integers (n,), or floating rows "
                f"(n, {self.classes}) with classes={self.classes}"
            )
        low, high = int(y.min()), int(y.max())
        if low < 0 or high >= self.classes:
            raise ValueError(f"y runs from {low} to {high}: needed are classes 0 to {self.classes - 1}")
        return one_hot(y.long(), self.classes)

    def _rng(self) -> np.random.Generator:
        """Of its own for each call, from one number of the generator."""
        device = "cpu" if self.generator is None else self.generator.device
        seed = torch.randint(SEEDS, (), generator=self.generator, device=device)
        return np.random.default_rng(int(seed))

    def __repr__(self) -> str:
        return f"Mix({self.augmentation!r}, classes={self.classes}, draws={self.draws!r})"
