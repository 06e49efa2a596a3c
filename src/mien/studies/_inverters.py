"""The inverters that the inversion study knows by name."""

from __future__ import annotations

from mien.encoders import optimise
from mien.errors import BadInput, UnknownName
from mien.generators.contract import Space
from mien.generators.stylegan2 import StyleGAN2
from mien.studies.inversion import Find, Options, Subject

DESCENT = "optimise"  # the one that needs no encoder
KINDS = ("encoder", "hybrid", DESCENT)


def subject(space: Space, kind: str, options: Options) -> Subject:
    """One pass of the space's encoder, a descent from where that ends, or one from the average.

    Raises UnknownName for another kind, BadInput for a space that is no StyleGAN2 or,
    but for "optimise", has no encoder.
    """
    if kind not in KINDS:
        raise UnknownName("inverter", kind, KINDS)
    if not isinstance(space, StyleGAN2):
        raise BadInput(f"{space.card['name']} is no StyleGAN2; inverters are compared in w+")
    if kind == DESCENT:
        return Subject(kind, space, _descent(space, options))
    encoder = getattr(space.inverter, "card", {}).get("name")
    if encoder is None:
        raise BadInput(f"{space.card['name']} has no encoder; give --space an encoder's folder")
    if kind == "encoder":
        return Subject(encoder, space, space.encode)
    return Subject(f"{encoder} + descent", space, _refined(space, options))


def _descent(space: StyleGAN2, options: Options) -> Find:
    chosen = optimise.Options(steps=options.descent, seed=options.seed)
    return lambda faces: optimise.invert(space, faces, chosen).latent


def _refined(space: StyleGAN2, options: Options) -> Find:
    chosen = optimise.Hybrid(steps=options.steps, seed=options.seed)
    return lambda faces: optimise.invert(space, faces, chosen, space.encode(faces)).latent
