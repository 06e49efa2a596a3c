from __future__ import annotations

import json
from importlib.resources import files

import pytest

from mien.errors import BadInput, UnknownName
from mien.train import encoder, policy, recogniser, stargan, stylegan2, tirg, vae

NAN, INFINITE = float("nan"), float("inf")
WRONG = [
    (recogniser.Recipe, "epochs", (0, -1)),
    (recogniser.Recipe, "batch", (0,)),
    (recogniser.Recipe, "frozen", (-1,)),
    (recogniser.Recipe, "rate", (NAN, -0.1)),
    (recogniser.Recipe, "average", (1.5,)),
    (recogniser.Recipe, "seed", (-1,)),
    (vae.Recipe, "batch", (0,)),
    (vae.Recipe, "warm", (0,)),
    (vae.Recipe, "rate", (NAN, INFINITE)),
    (vae.Recipe, "kl", (-1.0,)),
    (vae.Recipe, "average", (2.0,)),
    (stylegan2.Recipe, "images", (0,)),
    (stylegan2.Recipe, "batch", (-8,)),
    (stylegan2.Recipe, "every", (0,)),
    (stylegan2.Recipe, "watched", (1,)),
    (stylegan2.Recipe, "critic_rate", (NAN,)),
    (stylegan2.Recipe, "mixing", (1.1,)),
    (encoder.Recipe, "batch", (0,)),
    (encoder.Recipe, "every_row", (0,)),
    (encoder.Recipe, "rate", (NAN,)),
    (encoder.Recipe, "pixel", (INFINITE,)),
    (stargan.Recipe, "batch", (0,)),
    (stargan.Recipe, "tested", (0,)),
    (stargan.Recipe, "lessons", (-1,)),
    (stargan.Recipe, "rate", (NAN, -1e-4)),
    (stargan.Recipe, "rec", (NAN,)),
    (stargan.Recipe, "average", (1.1,)),
    (tirg.Options, "batch", (1,)),
    (tirg.Options, "steps", (0,)),
    (tirg.Options, "rate", (NAN,)),
    (policy.Options, "pool", (0,)),
    (policy.Options, "rate", (INFINITE,)),
]
TUPLES = [
    (encoder.Recipe, {"widths": (32, 32, 0, 96, 160)}, "^widths=0: give 1 or more"),
    (stargan.Recipe, {"betas": (0.5, NAN)}, "^betas=nan: give 0 to 1"),
    (stargan.Recipe, {"betas": (0.5, 1.0)}, "betas are two numbers below 1"),
    (stargan.Recipe, {"betas": (0.5,)}, "betas are two numbers below 1"),
    (stargan.Recipe, {"gain": NAN, "residual": True}, "^gain=nan: give a finite number"),
]
UNKNOWN = [
    (recogniser.Recipe, "architecture", "mobilenet", "mobilenet_v2"),
    (stylegan2.Recipe, "discriminator", "owned", "own"),
    (stylegan2.Recipe, "trunk", "efficientnet", "efficientnet_lite0"),
    (stylegan2.Recipe, "augmentation", "fix", "fixed"),
]


@pytest.mark.parametrize(
    ("kind", "name", "value"), [(k, name, value) for k, name, values in WRONG for value in values]
)
def test_numbers_that_cannot_be_are_refused(kind, name, value):
    with pytest.raises(BadInput, match=f"^{name}={value}: give "):
        kind(**{name: value})


@pytest.mark.parametrize(("kind", "values", "why"), TUPLES)
def test_tuples_are_looked_into(kind, values, why):
    with pytest.raises(BadInput, match=why):
        kind(**values)


@pytest.mark.parametrize(("kind", "name", "value", "near"), UNKNOWN)
def test_unknown_names_are_refused(kind, name, value, near):
    with pytest.raises(UnknownName, match=f"unknown {name} '{value}'; did you mean .*{near}"):
        kind(**{name: value})


def test_what_would_learn_nothing_is_refused():
    with pytest.raises(BadInput, match="give one of them more"):
        vae.Recipe(half_epochs=0, full_epochs=0, fine_epochs=0)
    with pytest.raises(BadInput, match="set seen=0 instead"):
        encoder.Recipe(seen_share=0.0)
    with pytest.raises(BadInput, match="give more than 0"):
        policy.Options(sharpness=0.0)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (recogniser.Recipe, "recogniser"),
        (recogniser.Recipe, "judge"),
        (stargan.Recipe, "stargan-128"),
    ],
)
def test_recipes_of_embedded_models_can_be(kind, name):
    card = json.loads((files("mien") / "assets" / name / "card.json").read_text(encoding="utf-8"))
    recipe = {key: tuple(v) if isinstance(v, list) else v for key, v in card["recipe"].items()}
    kind(**recipe)
