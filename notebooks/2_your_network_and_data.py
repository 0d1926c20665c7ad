# %% [markdown]
# # Your own network and data
#
# Any `nn.Module` (or any function of a batch) and any images will do.  Here: patches of the two photographs that come
# with scikit-learn, in colour, and a small convolutional network.

# %%
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_sample_images
from torch import nn

import msda_theory as mt

torch.manual_seed(0)
torch.set_num_threads(1)

# %% [markdown]
# ## Data and network
#
# Inputs are (m, ..., H, W); a mask is drawn for (H, W) and shared by the channels.  Labels are what the loss takes:
# here class indices, for softmax cross-entropy.

# %%
SIZE, EACH = 8, 16
rng = np.random.default_rng(0)
patches, labels = [], []
for label, photograph in enumerate(load_sample_images().images):
    for _ in range(EACH):
        top, left = (rng.integers(n - 5 * SIZE) for n in photograph.shape[:2])
        patches.append(photograph[top : top + 5 * SIZE : 5, left : left + 5 * SIZE : 5] / 255)
        labels.append(label)
x = torch.from_numpy(np.stack(patches)).permute(0, 3, 1, 2).contiguous()
y = torch.tensor(labels)

figure, panels = plt.subplots(2, 8, figsize=(8, 2.2), layout="constrained")
for panel, image in zip(panels.flat, torch.cat([x[:8], x[EACH : EACH + 8]]), strict=True):
    panel.imshow(image.permute(1, 2, 0))
    panel.axis("off")
plt.show()


# %%
def convnet(activation):
    torch.manual_seed(1)
    features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), activation, nn.Conv2d(8, 8, 3, stride=2), activation)
    return nn.Sequential(features, nn.Flatten(), nn.Linear(8 * 3 * 3, 2)).double()


def trained(model, augmentation, steps=150):
    mix = mt.training.Mix(augmentation, classes=2, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(steps):
        optimiser.zero_grad()
        mixed, soft_labels = mix(x, y)
        loss(model(mixed), soft_labels).mean().backward()
        optimiser.step()
    return model.eval()


loss = mt.losses.SoftmaxCrossEntropy()
augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.CutMix((SIZE, SIZE), sampler="clip"), label="realised")
net = trained(convnet(nn.GELU()), augmentation)
print(f"{(net(x).argmax(1) == y).float().mean():.0%} of the samples are right")

# %% [markdown]
# `mt.training.Mix` mixes a batch, by any law of the library.  `sampler="clip"` cuts the box off at the border and
# `label="realised"` weighs the labels by the area that was really cut, as the released code of CutMix does.

# %%
comparison = mt.compare(net, loss, x, y, augmentation)
comparison

# %% [markdown]
# Read the lower half first: how much of the effect each expansion leaves over, and the radius of trust, by what
# factor the mixing may be stronger (above 1) or must be weaker (below 1) for the third order to be no larger than the
# second.
#
# ## Larger images
#
# Enumeration visits every pair and every box.  Where that is too much it says so, before it starts; Monte Carlo gives
# a standard error instead.  The terms of the expansion can be drawn too, for images of any size.

# %%
sampled = mt.exact_loss(net, loss, x, y, augmentation, method="monte-carlo", samples=20_000, seed=0)
drawn = mt.taylor_loss(net, loss, x, y, augmentation, directions=64, seed=0)
print(f"exact loss     {comparison.exact.value:.5f}   drawn {sampled}")
print(f"L_m + R1+R2+R3 {comparison.theory.total:.5f}   drawn {drawn}")
assert abs(sampled.value - comparison.exact.value) < 5 * sampled.error
assert abs(drawn.total - comparison.theory.total) < 5 * drawn.error

# %%
huge = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.CutMix((224, 224), sampler="inside"))
try:
    mt.exact_loss(nn.Flatten(), mt.losses.Squared(), torch.rand(4, 3, 224, 224), torch.rand(4, 150528), huge)
except mt.NotEnumerableError as error:
    print(error)

# %% [markdown]
# ## ReLU
#
# A ReLU network has no Hessian almost everywhere: $R_3$ is zero and the expansion does not see the kinks that a mixed
# point crosses.  The library says so.

# %%
with warnings.catch_warnings(record=True) as notices:
    warnings.simplefilter("always")
    relu = mt.taylor_loss(trained(convnet(nn.ReLU()), augmentation), loss, x, y, augmentation)
print(relu)
print(*{str(notice.message) for notice in notices})
assert relu.r3 == 0

# %% [markdown]
# ## From the shell
#
# The same for a file with your data and a function that returns your network.  (`python -m verify` runs from the
# checkout.)

# %%
ROOT = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "verify").is_dir())
CODE = """
import torch

def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2)).double()
"""
with tempfile.TemporaryDirectory() as folder:
    np.savez(Path(folder, "mine.npz"), x=x.numpy(), y=y.numpy())
    Path(folder, "mine.py").write_text(CODE)
    data, model = f"--data={folder}/mine.npz", f"--model={folder}/mine.py:network"
    command = [sys.executable, "-m", "verify", data, model, "--msda", "mixup"]
    print(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)

# %% [markdown]
# Next: `3_audit_your_augmentation`.
