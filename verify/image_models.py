"""The image networks that the command line names: as they are initialised, trained here, or from a checkpoint."""

from __future__ import annotations

from argparse import Namespace

import torch
from torch import nn

from msda_theory._progress import track
from msda_theory.losses import Loss
from verify.image_sets import ImageSet
from verify.image_training import train
from verify.networks import NETWORKS
from verify.placing import load_checkpoint
from verify.problems import loss_for
from verify.samples import Samples

LEARNING_RATE, DECAY = 0.05, 5e-4


def image_network(settings: Namespace, samples: Samples) -> tuple[nn.Module, Loss, str]:
    """The network for x (m, c, h, h) in eval mode and float32, its loss, and how it came about."""
    argument, shape = f"--model={settings.model}", samples.x.shape
    if len(shape) != 4 or shape[2] != shape[3]:
        raise ValueError(f"{argument} takes square images (m, c, h, h), x has shape {tuple(shape)}")
    if settings.weight_decay is not None:
        raise ValueError(f"--weight-decay={settings.weight_decay:g} with {argument}: it is trained with {DECAY:g}")
    loss, width = loss_for(samples.y, settings.loss)
    classes = width if samples.images is None else samples.images.classes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = NETWORKS[settings.model](classes, shape[1], shape[3])
    about = f"{settings.model}, {sum(p.numel() for p in model.parameters()):,} parameters, {classes} outputs"
    if settings.epochs is not None:
        return model, loss, f"{about}, {_trained(settings, model, samples.images)}"
    if settings.checkpoint is not None:
        load_checkpoint(model, settings.checkpoint)
    origin = f"from {settings.checkpoint}" if settings.checkpoint else f"as torch initialises it, seed {settings.seed}"
    return model.eval(), loss, f"{about}, {origin}"


def _trained(settings: Namespace, model: nn.Module, images: ImageSet | None) -> str:
    if images is None:
        raise ValueError(f"--epochs={settings.epochs} with --data={settings.data}: needed is a set of images by name")
    if settings.checkpoint is not None:
        raise ValueError(f"--epochs={settings.epochs} with --checkpoint={settings.checkpoint}: needed is one of them")
    device = settings.device or "cpu"
    images, bar = images.to(device), track(range(settings.epochs + 1), "training")

    def watch(epoch: int, model: nn.Module) -> None:
        next(bar)

    found = train(
        model.to(device),
        images,
        epochs=settings.epochs,
        seed=settings.seed,
        lr=LEARNING_RATE,
        weight_decay=DECAY,
        watch=watch,
    )
    for _ in bar:  # to its end, where it is taken from the screen
        pass
    return (
        f"trained on {len(images.train_x)} images without augmentation, {settings.epochs} epochs of SGD: accuracy "
        f"{found.train.accuracy:.1%} there and {found.test.accuracy:.1%} on {len(images.test_x)} others"
    )
