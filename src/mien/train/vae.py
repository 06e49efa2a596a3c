"""Recipe of the DFC-VAE: pixel, deep-feature and KL losses; half size, full size, then fine.

loss = mean squared pixel error + feature * deep-feature distance + kl * KL, with
faces in [-1, 1] and KL in nats a face (Hou et al., WACV 2017, with a pixel term).
Before the fine stage the components of the inner face are fitted to what is
missing by then. In it the KL weighs less, so that latents keep glasses, beards
and make-up, and a discriminator of patches (patches.py) sharpens. bf16 where it is quicker;
losses, normalisation statistics and the KL in fp32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mien.checkpoint import save_model
from mien.faces.cache import cached_crops, to_unit
from mien.faces.celeba import read_celeba
from mien.generators.vae import Network, open_space
from mien.measure.reconstruction import reconstruction_table
from mien.recognise import mobilenet_v2
from mien.recognise.deep_features import FeatureLoss
from mien.recognise.imagenet import load_trunk
from mien.runtime.precision import quickest
from mien.train import augment
from mien.train._vae_inner import fit_inner
from mien.train._vae_state import Recipe, State, Weights, schedule, start
from mien.train.adversarial import critic_hinge, generator_hinge
from mien.train.patches import PatchCritic, weighed
from mien.train.run import Run, batch_indices, check_batch, generator, half_precision

Progress = Callable[[int, int, str], None]

__all__ = ["Recipe", "train"]


def train(
    root: Path, folder: Path, name: str, recipe: Recipe, progress: Progress
) -> dict[str, Any]:
    """Train on CelebA at `root`, write the model folder `folder/name`, return its card.

    progress(step, steps, text) is called after every step. Interrupted, the
    same call continues from the last checkpoint. Raises BadInput for a batch of more photos
    than there are.
    """
    paths = read_celeba(root, "train").paths
    check_batch(recipe.batch, len(paths))
    faces = cached_crops(paths, recipe.shape.size)
    network = _fit(faces, Run(folder), recipe, progress)
    tensors = _tensors(network, _fit_prior(network, faces))
    save_model(folder / name, tensors, _card(name, recipe))
    test = cached_crops(read_celeba(root, "test").paths, recipe.shape.size)[: recipe.tested]
    metrics = reconstruction_table(open_space(folder / name), to_unit(test))
    card = _card(name, recipe) | {"metrics": metrics}
    save_model(folder / name, tensors, card)
    return card


@dataclass
class Pass:
    """One batch through the network; faces [N, 3, size, size] in [-1, 1]."""

    target: torch.Tensor
    decoded: torch.Tensor  # fp32
    mean: torch.Tensor  # [N, D]
    log_variance: torch.Tensor  # [N, D]
    window: tuple[slice, ...]  # the square in which features and patches are compared


def through(
    network: Network, faces: torch.Tensor, step: int, recipe: Recipe, full: bool = True
) -> Pass:
    """Encode and decode faces [N, 3, size, size]; random numbers come from (recipe.seed, step)."""
    random = generator(recipe.seed, step)
    faces = augment.flip(faces, random)
    target = faces if full else F.avg_pool2d(faces, 2)
    source = faces if full else F.interpolate(target, scale_factor=2)
    with quickest(faces.device.type):
        mean, log_variance = network.encoder(source.contiguous(memory_format=torch.channels_last))
        noise = torch.randn(mean.shape, generator=random)
        drawn = mean + noise * torch.exp(log_variance / 2)
        own = network.inner.encode(faces, mean)
        if full:
            decoded = network.decode(torch.cat([drawn, own], 1))
        else:
            decoded = network.decoder(torch.cat([drawn, own], 1), full=False)
    window = _window(target.shape[2], recipe.window, random)
    return Pass(target, decoded.float(), mean, log_variance, window)


def losses(
    seen: Pass, features: FeatureLoss, kl_weight: float, recipe: Recipe
) -> dict[str, torch.Tensor]:
    """The loss ("loss") and its unweighted terms ("pixel", "feature", "kl"), fp32 scalars."""
    with quickest(seen.target.device.type):
        feature = features(seen.decoded[seen.window], seen.target[seen.window])
    pixel = F.mse_loss(seen.decoded, seen.target)
    spread = seen.mean.square() + seen.log_variance.exp() - 1 - seen.log_variance
    kl = 0.5 * spread.sum(1).mean()
    loss = pixel + recipe.feature * feature + kl_weight * kl
    return {"loss": loss, "pixel": pixel, "feature": feature, "kl": kl}


def _window(size: int, side: int, random: torch.Generator) -> tuple[slice, ...]:
    side = min(side, size)
    top, left = (int(torch.randint(size - side + 1, (), generator=random)) for _ in range(2))
    return slice(None), slice(None), slice(top, top + side), slice(left, left + side)


def _fit(faces: np.ndarray, run: Run, recipe: Recipe, progress: Progress) -> Network:
    state = start(recipe)
    features = FeatureLoss(load_trunk(mobilenet_v2))
    features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    stages = recipe.steps(len(faces))
    begin = run.restore(state)
    for step in range(begin, stages[-1]):
        rows = batch_indices(len(faces), recipe.batch, step, recipe.seed)
        batch = torch.from_numpy(to_unit(faces[rows]))
        if step == stages[1]:
            _fit_inner(state, faces)
        weights = schedule(step, stages, recipe)
        seen = through(state.network, batch, step, recipe, full=step >= stages[0])
        terms = losses(seen, features, weights.kl, recipe)
        loss = terms["loss"]
        if weights.sharpen:
            terms["critic"] = _teach_critic(state, seen)
            loss = _sharpened(state.critic, seen, terms, weights, recipe)
        _update(state, loss, weights.rate)
        if (step + 1) % 10 == 0:
            run.log(step + 1, {key: value.item() for key, value in terms.items()})
        progress(step + 1, stages[-1], f"pixel {terms['pixel'].item():.4f}")
        if (step + 1) % recipe.every == 0 or step + 1 == stages[-1]:
            run.save(step + 1, **state.parts())
    network: Network = state.averaged.module
    return network


def _fit_inner(state: State, faces: np.ndarray) -> None:
    averaged: Network = state.averaged.module
    fit_inner(averaged, faces)
    state.network.inner.load_state_dict(averaged.inner.state_dict())


def _teach_critic(state: State, seen: Pass) -> torch.Tensor:
    """One step of the discriminator; its loss."""
    state.critic.requires_grad_(True)
    with quickest(seen.target.device.type):
        real = state.critic(seen.target[seen.window])
        fake = state.critic(seen.decoded.detach()[seen.window])
    loss = critic_hinge([real], [fake])
    state.critic_optimiser.zero_grad()
    loss.backward()
    state.critic_optimiser.step()
    return loss.detach()


def _sharpened(
    critic: PatchCritic, seen: Pass, terms: dict[str, torch.Tensor], weights: Weights,
    recipe: Recipe,
) -> torch.Tensor:  # fmt: skip
    """A loss whose gradient at the decoded faces is pixel, feature and patch loss, weighed."""
    critic.requires_grad_(False)
    with quickest(seen.target.device.type):
        doubt = generator_hinge([critic(seen.decoded[seen.window])])
    wanted = terms["pixel"] + recipe.feature * terms["feature"]
    (reconstruct,) = torch.autograd.grad(wanted, seen.decoded)
    (sharpen,) = torch.autograd.grad(doubt, seen.decoded)
    gradient = weighed(reconstruct, sharpen, weights.sharpen)
    return (gradient * seen.decoded).sum() + weights.kl * terms["kl"]


def _update(state: State, loss: torch.Tensor, rate: float) -> None:
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    state.optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
    state.optimiser.step()
    state.averaged.update_parameters(state.network)


def _fit_prior(network: Network, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [D] and lower covariance factor [D, D] of the encoded faces.

    The Gaussian covers the posteriors' means; decoding those gives sharper
    samples than decoding draws from N(0, I).
    """
    network.eval()
    batches = [faces[start : start + 256] for start in range(0, len(faces), 256)]
    with torch.inference_mode():
        means = [network.encode(torch.from_numpy(to_unit(batch))) for batch in batches]
    values = torch.cat(means).double().numpy()
    covariance = np.cov(values, rowvar=False) + 1e-6 * np.eye(values.shape[1])
    factor = np.linalg.cholesky(covariance)
    return values.mean(0).astype(np.float32), factor.astype(np.float32)


def _tensors(network: Network, prior: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
    tensors = half_precision(network.state_dict())
    return tensors | {"prior.mean": prior[0], "prior.factor": prior[1]}


def _card(name: str, recipe: Recipe) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "space",
        "architecture": "vae",
        "space": "z",
        "options": asdict(recipe.shape),
        "latent": [recipe.shape.latent + recipe.shape.inner],
        "input": {"size": recipe.shape.size, "frame": "celeba", "range": [-1, 1]},
        "data": "CelebA train split (15,000 photos, mirrored at random)",
        "licence": "Apache-2.0 code; weights for non-commercial research (CelebA's terms)",
        "recipe": asdict(recipe),
    }
