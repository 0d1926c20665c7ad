"""The command line of `python -m verify`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from msda_theory.augmentation import LABEL_RULES
from msda_theory.exact import METHODS
from msda_theory.masks import KERNELS, SAMPLERS
from verify.inputs import MASK_OPTIONS
from verify.networks import NETWORKS
from verify.placing import DTYPES
from verify.problems import LOSSES, MODELS
from verify.samples import NAMED

EXAMPLES = """examples:
  python -m verify --data two-moons --model mlp-tanh --msda mixup
  python -m verify --data digits --model logistic --msda cutmix --sampler clip --label realised --json out.json
  python -m verify --data mine.npz --model mine.py:network --msda hmix --r 0.3 --alpha 0.5 --beta 2 --order
  python -m verify --data textures --model preact-resnet18 --epochs 1 --msda cutmix --directions 64 \
      --method monte-carlo --draws 2000
  torchrun --nproc-per-node 4 -m verify --data digits --samples 500 --model mlp-tanh --msda cutmix --resume sums.json
  python -m verify --audit kornia:RandomCutMixV2 mine.py:augmentation   (an augmentation alone; --audit --help)

FILE.npz holds arrays x (m, ...) and y: classes (m,), numbers (m,), or rows (m, K).  Masks with geometry take the last
two axes of x for the image.  file.py:function is called without arguments and returns the network, which is used as
it is; the models logistic, mlp-tanh and mlp-relu are trained first, on the data.  Networks of images are as they are
initialised, or with --epochs trained, or with --checkpoint read from a file.  With --directions and --method
monte-carlo networks and images may be of any size.
"""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m verify",
        description="The exact loss of a mixed-sample augmentation against its second-order expansion, for your own "
        "network and data.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_problem(top.add_argument_group("the problem"))
    _add_augmentation(top.add_argument_group("the augmentation"))
    _add_evaluation(top.add_argument_group("the evaluation"))
    return top


def _add_problem(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--data", required=True, metavar="DATA", help=f"{', '.join(NAMED)}, or FILE.npz")
    group.add_argument("--model", required=True, help=f"{', '.join((*MODELS, *NETWORKS))}, or path/to/file.py:function")
    group.add_argument("--size", type=_whole(2), metavar="N", help="side of the images of a set, in pixels")
    group.add_argument("--epochs", type=_whole(1), metavar="N", help="train the network of images for so long")
    group.add_argument("--checkpoint", type=Path, metavar="F", help="a state dict for the network, by torch.save")
    group.add_argument("--dtype", choices=tuple(DTYPES), help="default: the network's own")
    group.add_argument("--device", metavar="D", help="cpu, cuda, ..; default: where the network is")
    group.add_argument("--loss", default="auto", choices=("auto", *LOSSES), help="default: from labels and outputs")
    group.add_argument("--samples", type=_whole(2), metavar="N", help="how many samples (200 moons, 50 images, all)")
    group.add_argument("--weight-decay", type=_not_negative, metavar="W", help="of the built-in models; 0.03")
    group.add_argument("--seed", type=_whole(0), default=0, help="of data, network and Monte Carlo (default 0)")


def _add_augmentation(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--msda", required=True, choices=tuple(MASK_OPTIONS))
    group.add_argument("--alpha", type=_positive, default=1.0, help="lambda ~ Beta(alpha, beta); default 1")
    group.add_argument("--beta", type=_positive, default=1.0, help="default 1")
    group.add_argument(
        "--label", choices=LABEL_RULES, default="nominal", help="label weight: lambda, or the mask's mean"
    )
    group.add_argument("--sampler", choices=SAMPLERS, help="where the box lies (cutmix, hmix, stochastic); inside")
    group.add_argument("--kernel", choices=KERNELS, help="the bump of gmix; printed")
    group.add_argument("--r", type=_share, help="share of the box that hmix cuts out; 0.5")
    group.add_argument("--q", type=_share, help="chance of mixup in stochastic; 0.5")


def _add_evaluation(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--as-printed", action="store_true", help="the expansion as the paper prints it")
    group.add_argument("--order", action="store_true", help="also fit the order of the remainder in N = 1-M")
    group.add_argument("--method", choices=METHODS, default=METHODS[0], help="of the exact loss")
    group.add_argument("--rtol", type=_positive, help="tolerance of enumerate's quadrature; 1e-6")
    group.add_argument("--draws", type=_whole(2), help="draws of monte-carlo; 100000")
    group.add_argument("--directions", type=_whole(16), metavar="N", help="draw N moves for the expansions")
    group.add_argument("--batch", type=_whole(1), metavar="N", help="at most so many inputs in the network at once")
    group.add_argument("--json", type=Path, metavar="F", help="also write everything to F")
    group.add_argument(
        "--resume", type=Path, metavar="F", help="keep finished parts of long sums in F, and go on from those in F"
    )


def _positive(text: str) -> float:
    return _number(text, lambda v: math.isfinite(v) and v > 0, "a finite number > 0")


def _not_negative(text: str) -> float:
    return _number(text, lambda v: math.isfinite(v) and v >= 0, "a finite number >= 0")


def _share(text: str) -> float:
    return _number(text, lambda v: 0 <= v <= 1, "a number in [0, 1]")


def _number(text: str, allowed: Callable[[float], bool], need: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not allowed(value):
        raise argparse.ArgumentTypeError(f"{text!r}: needed is {need}")
    return value


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        return int(_number(text, lambda v: v >= least and v == math.floor(v), f"a whole number >= {least}"))

    return parse
