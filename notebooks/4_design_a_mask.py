# %% [markdown]
# # Design a mask
#
# To second order, an augmentation acts through one matrix: the coefficients $a_{jk} = E[(1-M_j)(1-M_k)]$ say how
# strongly the product of the gradients in the pixels $j$ and $k$ is regularised.  Mixup treats all pairs alike,
# CutMix neighbours more than distant pixels.  Theorem 2 of Park et al. turns this around: prescribe the coefficients,
# and a Gaussian mask has them.
#
# The mean is printed as $1-\lambda$, with which the coefficients come out as $a_{jk} + 2\lambda - 1$; with $\lambda$
# they are right, and so `masks.Gaussian` has it:
#
# $$M = \lambda \vec 1 + K^{1/2} Z, \qquad K = A(\lambda) - (1-\lambda)^2\, \vec 1 \vec 1^\top.$$

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

import msda_theory as mt

torch.set_num_threads(1)
SHAPE = (8, 8)

# %% [markdown]
# ## Coefficients of one's own
#
# Neighbours within `reach` pixels shall be regularised together, distant ones as in Mixup.  Any $K \ge 0$ will do;
# this one is a product of one kernel for the rows and one for the columns.


# %%
def local(reach):
    """A(lambda) = (1-lambda)^2 + lambda (1-lambda) exp(-|rows apart|/reach - |columns apart|/reach)."""
    rows, columns = (torch.exp(-(torch.arange(n).double().unsqueeze(1) - torch.arange(n)).abs() / reach) for n in SHAPE)

    def second_moment(ratio):
        return (1 - ratio) ** 2 + ratio * (1 - ratio) * torch.kron(rows, columns)

    return second_moment


law = mt.masks.Gaussian(SHAPE, local(reach=2.0))
ratio = 0.5
drawn = law.sample(torch.full((20_000,), ratio, dtype=torch.float64), seed=0).flatten(1)
products = (1 - drawn).unsqueeze(2) * (1 - drawn[:, :1]).unsqueeze(1)
found, error = products.mean(0).flatten(), products.std(0).flatten() / len(drawn) ** 0.5
wanted = local(2.0)(ratio)[:, 0]
print(f"E[M] is {drawn.mean():.4f}, wanted {ratio}")
worst = float(((found - wanted) / error).abs().max())
print(f"largest deviation of a_jk: {worst:.1f} standard errors, of {len(wanted)} numbers")
assert worst < 5

# %% [markdown]
# Masks that were drawn, and the coefficients of the pixel in the middle with all others, beside those of the laws
# that have a name.

# %%
laws = {
    "Mixup": mt.masks.Mixup(SHAPE),
    "CutMix": mt.masks.CutMix(SHAPE, sampler="inside"),
    "Bernoulli": mt.masks.Bernoulli(SHAPE),
    "ours, reach 1": mt.masks.Gaussian(SHAPE, local(1.0)),
    "ours, reach 4": mt.masks.Gaussian(SHAPE, local(4.0)),
}
figure, panels = plt.subplots(2, len(laws), figsize=(9, 3.9), layout="constrained")
for (name, mask), (top, bottom) in zip(laws.items(), panels.T, strict=True):
    top.imshow(mask.sample(torch.tensor([ratio], dtype=torch.float64), seed=3)[0], vmin=-0.5, vmax=1.5, cmap="gray")
    around = mask.second_moment(ratio).to_dense()[4 * 8 + 4].reshape(SHAPE)
    shown = bottom.imshow(around, vmin=0.2, vmax=0.5)
    top.set_title(name, fontsize=9)
    top.axis("off")
    bottom.axis("off")
figure.colorbar(shown, ax=panels[1], label="$a_{jk}$, j in the middle")
plt.show()

# %% [markdown]
# ## What cannot be had
#
# A mask of mean $\lambda$ with the coefficients $A$ exists if and only if $K \ge 0$.  The coefficients of CutMix are
# not such: its box covers the border less often, so its mean is not $\lambda$, and a mask that has the one cannot
# have the other.

# %%
impossible = mt.masks.Gaussian(SHAPE, mt.masks.CutMix(SHAPE, sampler="inside").second_moment)
try:
    impossible.mean(ratio), impossible.second_moment(ratio)
except ValueError as error:
    print(error)
else:
    raise AssertionError("eq. (10) should not be a second moment of a mask of mean lambda")

# %% [markdown]
# ## What it does to a network
#
# For a linear $f = w \cdot x$ the gradient term is a sum over pairs of pixels, $R_2 = \frac{1}{2m} \sum_i h''(f_i)
# \sum_{jk} A_{jk} C^{(i)}_{jk} w_j w_k$ with the scatter $C^{(i)}$ of the data about sample $i$, so it splits by the
# distance of $j$ and $k$.  Here for a logistic regression that tells 3 from 8.

# %%
digits = load_digits()
chosen = np.flatnonzero((digits.target == 3) | (digits.target == 8))[:60]
x = torch.from_numpy(digits.images[chosen]) / 16
x, y = x - x.mean(0), torch.from_numpy(digits.target[chosen] == 3).double()

loss = mt.losses.Logistic()
net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 1)).double()
torch.nn.init.zeros_(net[1].weight)
torch.nn.init.zeros_(net[1].bias)
optimiser = torch.optim.LBFGS(net.parameters(), max_iter=50)


def closure():
    optimiser.zero_grad()
    value = loss(net(x), y.unsqueeze(1)).mean() + 0.01 * net[1].weight.square().sum()
    value.backward()
    return value


optimiser.step(closure)

weight, flat = net[1].weight.detach()[0], x.flatten(1)
moved = flat.unsqueeze(0) - flat.unsqueeze(1)  # r - x_i, (i, r, d)
curvature = loss.h2(net(x).detach()).flatten()
products = torch.einsum("i,irj,irk,j,k->jk", curvature, moved, moved, weight, weight) / (2 * len(x) ** 2)
place = torch.cartesian_prod(torch.arange(8), torch.arange(8))
distance = (place.unsqueeze(1) - place).abs().amax(-1)

# %%
figure, panel = plt.subplots(figsize=(6, 3), layout="constrained")
for name, mask in laws.items():
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mask)
    coefficients = augmentation.seen_second_moment().to_dense()
    parts = [float((coefficients * products)[distance == gap].sum()) for gap in range(8)]
    r2 = mt.taylor_loss(net, loss, x, y, augmentation).r2
    assert abs(sum(parts) - r2) < 1e-9
    panel.plot(parts, "o-", label=f"{name}: R2 = {r2:.4f}")
panel.axhline(0, color="black", linewidth=0.6)
panel.set(xlabel="distance of the two pixels (rows or columns, the larger)", ylabel="part of $R_2$")
panel.legend(fontsize=8)
plt.show()

# %% [markdown]
# With a reach of 1 our law departs from Mixup next door only, with a reach of 4 across half the image; CutMix takes
# from distant pairs and gives to near ones.  And the whole comparison for a law of our own; it has a continuum of
# masks, so the exact loss is drawn.

# %%
ours = mt.Augmentation(mt.Beta(1.0, 1.0), laws["ours, reach 1"])
mt.compare(net, loss, x, y, ours, method="monte-carlo", samples=4_000, seed=0)

# %% [markdown]
# A Gaussian mask leaves [0, 1], and so may the mixed image.  To use it in training: `mt.training.Mix(ours, classes)`.
#
# Next: `5_which_theorem_fails_and_why`.
