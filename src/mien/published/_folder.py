"""A published file as a model folder: safetensors, and a card that says where it came from."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.checkpoint import CARD, WEIGHTS, check_free, save_model
from mien.errors import BadInput, BadModel, MienError, UnknownName
from mien.generators import ENCODER
from mien.published._layouts import DIRECTIONS, Kind
from mien.published._open import refusals
from mien.published._read import Published, read
from mien.published.catalogue import entry_of

FRAMES = ("ffhq", "celeba")
UNKNOWN = "not known; ask the file's publisher"
DECODER = "decoder."  # of pSp and e4e


@dataclass(frozen=True)
class Model:
    """A network under our keys. card: what its kind adds to the card."""

    tensors: dict[str, np.ndarray]
    card: dict[str, Any]


def import_model(
    path: Path, folder: Path, name: str = "", frame: str = "", licence: str = "",
    labels: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """Write the generator or translator of a published file as a model folder; its card.

    The encoder of pSp's and e4e's files goes to the folder "encoder" inside it, where
    `open_space` looks for what reads photos.

    name: of the model, the folder's if empty. frame: how its training faces were
    aligned, "ffhq" or "celeba"; if empty, as the format's own publications. licence: what the
    catalogue says of this very file if empty. labels: a translator's, in the order of its
    training, which no file tells. Raises UnknownName for another frame, BadInput for a folder
    that holds a model already, for files of directions and for labels that do not fit, BadModel
    for a file that cannot be read or converted.
    """
    path, folder = Path(path), Path(folder)
    _check_asked(folder, frame)
    published = read(path)
    converted = convert(published, path)
    encoder = _encoder(published, converted, path)
    _check_finite([converted, *encoder], path)
    digest = digest_of(path)
    entry = entry_of(digest)
    card = {
        "name": name or folder.resolve().name,
        **converted.card,
        "licence": licence or (entry.licence if entry is not None else UNKNOWN),
        "source": {"format": published.kind.value, "file": path.name, "sha256": digest},
    }
    if "input" in card:
        card["input"] = {"frame": "ffhq", **card["input"], **({"frame": frame} if frame else {})}
    if labels:
        card["parts"] = _named(card, tuple(labels), path)
    with _whole(folder):
        for model in encoder:
            about = {"name": f"{card['name']}-encoder", "source": card["source"]}
            save_model(folder / ENCODER, model.tensors, {**about, **model.card})
        save_model(folder, converted.tensors, card)
    return card


def _check_asked(folder: Path, frame: str) -> None:
    """A free folder and a known frame."""
    check_free(folder)
    if frame and frame not in FRAMES:
        raise UnknownName("frame", frame, FRAMES)


def _named(card: dict[str, Any], labels: tuple[str, ...], path: Path) -> list[dict[str, Any]]:
    """The parts of a translator's card under these names."""
    if card["kind"] != "translator":
        raise BadInput(f"{path} holds a {card['kind']}, which has no labels to name")
    found = card["options"]["labels"]
    if len(labels) != found or len(set(labels)) != found:
        raise BadInput(f"{path} was trained with {found} labels, not {', '.join(labels)}")
    return [{"names": list(labels), "kind": "binary"}]


def _encoder(published: Published, decoder: Model, path: Path) -> list[Model]:
    """The encoder under our keys, or nothing where the file has none."""
    from mien.published import _encoders

    if not any(key.startswith(_encoders.PREFIX) for key in published.tensors):
        return []
    shape = decoder.card["options"]
    rows = 2 * int(math.log2(shape["size"])) - 2, shape["latent"]
    with _naming(path):
        kind, extras = published.kind.value, published.extras
        return [Model(*_encoders.encoder_to_ours(published.tensors, kind, extras, rows))]


def _check_finite(models: list[Model], path: Path) -> None:
    """Raise BadModel naming a tensor that holds NaN or infinity."""
    for key, values in (pair for model in models for pair in model.tensors.items()):
        if not np.isfinite(values).all():
            raise BadModel(
                f"{path} holds NaN or infinite numbers in {key}; its training diverged or the file "
                "is damaged, get another copy"
            )


@contextmanager
def _whole(folder: Path) -> Iterator[None]:
    """A model folder is there whole or, as on a full disk, not at all."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell
            for name in (CARD, WEIGHTS):
                (folder / name).unlink(missing_ok=True)
                (folder / ENCODER / name).unlink(missing_ok=True)
            if (folder / ENCODER).is_dir():
                (folder / ENCODER).rmdir()
            for path in missing:  # the innermost first
                path.rmdir()
        raise


def convert(published: Published, path: Path) -> Model:
    """The network of a published file under our keys.

    path: for messages. Raises BadModel naming a key that is missing, unexpected or of
    another shape, and BadInput for files of directions.
    """
    if published.kind in DIRECTIONS:
        raise BadInput(f"{path} holds directions, not a network; say with --for which model's")
    with _naming(path):
        return CONVERTERS[published.kind](published)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors name the file."""
    try:
        with refusals(path):
            yield
    except MienError as error:
        raise error if str(path) in str(error) else BadModel(f"{path}: {error}") from error


def digest_of(path: Path) -> str:
    """sha256 of a file, hexadecimal."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _rosinality(published: Published) -> Model:
    tensors = dict(published.tensors)
    average = tensors.pop("latent_avg", None)
    from mien.published import rosinality

    return _stylegan2(*rosinality.generator_to_ours(tensors, average))


def _decoder(published: Published) -> Model:
    """The decoder of pSp or e4e."""
    inner = {k.removeprefix(DECODER): v for k, v in published.tensors.items() if k[:8] == DECODER}
    if "latent_avg" in published.tensors:
        inner["latent_avg"] = published.tensors["latent_avg"]
    return _rosinality(Published(Kind.ROSINALITY, inner, {}, {}))


def _nvidia(published: Published) -> Model:
    from mien.published import nvidia

    return _stylegan2(*nvidia.generator_to_ours(published.tensors, published.config))


def _nvidia_tf(published: Published) -> Model:
    from mien.published._tensorflow import to_nvidia

    tensors, options = to_nvidia(published.tensors, published.config)
    return _nvidia(Published(Kind.NVIDIA, tensors, {}, options))


def _genforce(published: Published) -> Model:
    from mien.published import genforce

    return _stylegan2(*genforce.generator_to_ours(published.tensors, published.config))


def _stylegan2(ours: dict[str, np.ndarray], shape: Any) -> Model:
    if "average" not in ours:  # the mean of mapped samples
        from mien.published._stylegan2 import load_generator

        ours = ours | {"average": load_generator(ours, shape).average.numpy()}
    return _space("stylegan2", "w+", ours, shape)


def _stylegan(published: Published) -> Model:
    from mien.published import _stylegan

    found = _stylegan.generator_to_ours(published.tensors, published.config)
    return _space("stylegan", "w+", *found)


def _stylegan_tf(published: Published) -> Model:
    from mien.published._grown_tf import stylegan_to_genforce

    tensors, options = stylegan_to_genforce(published.tensors, published.config)
    return _stylegan(Published(Kind.GENFORCE_STYLEGAN, tensors, {}, options))


def _pggan(published: Published) -> Model:
    from mien.published import _pggan

    return _space("pggan", "z", *_pggan.generator_to_ours(published.tensors, published.config))


def _pggan_tf(published: Published) -> Model:
    from mien.published._grown_tf import pggan_to_genforce

    tensors, options = pggan_to_genforce(published.tensors, published.config)
    return _pggan(Published(Kind.GENFORCE_PGGAN, tensors, {}, options))


def _space(architecture: str, space: str, ours: dict[str, np.ndarray], shape: Any) -> Model:
    card = {
        "kind": "space",
        "architecture": architecture,
        "space": space,
        "input": {"size": shape.size, "range": [-1, 1]},
        "options": asdict(shape),
    }
    return Model(ours, card)


def _stargan(published: Published) -> Model:
    """No file holds the names of its labels; numbers stand for them until they are given."""
    from mien.published import _stargan

    ours, shape = _stargan.generator_to_ours(published.tensors)
    names = [f"label_{number + 1}" for number in range(shape.labels)]
    card = {
        "kind": "translator",
        "architecture": "stargan",
        "input": {"size": shape.size, "frame": "celeba", "range": [-1, 1]},
        "options": asdict(shape),
        "parts": [{"names": names, "kind": "binary"}],
    }
    return Model(ours, card)


def _stargan_discriminator(published: Published) -> Model:
    from mien.published import _stargan

    ours, critic = _stargan.discriminator_to_ours(published.tensors)
    card = {"kind": "discriminator", "architecture": "stargan", "options": asdict(critic)}
    return Model(ours, card)


CONVERTERS: dict[Kind, Callable[[Published], Model]] = {
    Kind.ROSINALITY: _rosinality,
    Kind.PSP: _decoder,
    Kind.E4E: _decoder,
    Kind.NVIDIA: _nvidia,
    Kind.NVIDIA_TF: _nvidia_tf,
    Kind.GENFORCE_STYLEGAN2: _genforce,
    Kind.GENFORCE_STYLEGAN: _stylegan,
    Kind.GENFORCE_PGGAN: _pggan,
    Kind.STYLEGAN_TF: _stylegan_tf,
    Kind.PGGAN_TF: _pggan_tf,
    Kind.STARGAN: _stargan,
    Kind.STARGAN_DISCRIMINATOR: _stargan_discriminator,
}
