"""Published checkpoints by name: what they are, their licence and where they come from.

Addresses are those that the publishers' pages give; a checkpoint without a direct
address has to be fetched from its page in a browser. No publisher gives checksums:
the two here are recorded alike by several public repositories.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from mien.errors import UnknownName
from mien.published._layouts import Kind

NVIDIA_NC = "NVIDIA Source Code License (non-commercial)"
CC_NC = "CC BY-NC 4.0"
FFHQ = "FFHQ photos: CC BY-NC-SA 4.0 as a set"
CELEBA = "CelebA photos: non-commercial research"
ADA = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained"
TRANSFER = f"{ADA}/transfer-learning-source-nets"
ADA_PAGE = "https://github.com/NVlabs/stylegan2-ada-pytorch"
STYLEGAN_PAGE = "https://github.com/NVlabs/stylegan#using-pre-trained-networks"
ZOO_PAGE = "https://github.com/genforce/genforce/blob/master/MODEL_ZOO.md"
ZOO = "https://mycuhk-my.sharepoint.com/:u:/g/personal/1155082926_link_cuhk_edu_hk"
DROPBOX = "https://www.dropbox.com/s"
INTERFACEGAN = "https://github.com/genforce/interfacegan"
BOUNDARIES = "https://raw.githubusercontent.com/genforce/interfacegan/master/boundaries"
E4E_PAGE = "https://github.com/omertov/encoder4editing"
E4E = "https://raw.githubusercontent.com/omertov/encoder4editing/main/editings"


@dataclass(frozen=True)
class Entry:
    """A published checkpoint."""

    name: str
    kind: Kind
    what: str
    file: str  # as published
    licence: str  # of the weights; then of the photos they were trained on
    page: str  # where the publisher offers it
    url: str = ""  # direct address, if there is one
    sha256: str = ""  # if known


GENERATORS = (
    Entry(
        "stylegan2-ada-ffhq", Kind.NVIDIA, "StyleGAN2 config-f, FFHQ, 1024 px", "ffhq.pkl",
        f"{NVIDIA_NC}; {FFHQ}", ADA_PAGE, f"{ADA}/ffhq.pkl",
        "a205a346e86a9ddaae702e118097d014b7b8bd719491396a162cca438f2f524c",
    ),
    Entry(
        "stylegan2-ada-metfaces", Kind.NVIDIA, "StyleGAN2, faces in paintings, 1024 px",
        "metfaces.pkl", f"{NVIDIA_NC}; MetFaces pictures: CC BY-NC 2.0 as a set", ADA_PAGE,
        f"{ADA}/metfaces.pkl",
    ),
    Entry(
        "stylegan2-ada-ffhq-256", Kind.NVIDIA, "StyleGAN2 paper256, FFHQ mirrored, 256 px",
        "ffhq-res256-mirror-paper256-noaug.pkl", f"{NVIDIA_NC}; {FFHQ}", ADA_PAGE,
        f"{TRANSFER}/ffhq-res256-mirror-paper256-noaug.pkl",
    ),
    Entry(
        "stylegan2-ada-ffhq-512", Kind.NVIDIA, "StyleGAN2, FFHQ mirrored, 512 px",
        "ffhq-res512-mirror-stylegan2-noaug.pkl", f"{NVIDIA_NC}; {FFHQ}", ADA_PAGE,
        f"{TRANSFER}/ffhq-res512-mirror-stylegan2-noaug.pkl",
    ),
    Entry(
        "stylegan2-ada-celebahq-256", Kind.NVIDIA, "StyleGAN2 paper256, CelebA-HQ, 256 px",
        "celebahq-res256-mirror-paper256-kimg100000-ada-target0.5.pkl", f"{NVIDIA_NC}; {CELEBA}",
        ADA_PAGE, f"{TRANSFER}/celebahq-res256-mirror-paper256-kimg100000-ada-target0.5.pkl",
    ),
    Entry(
        "stylegan2-ffhq-config-f", Kind.NVIDIA_TF, "StyleGAN2 config-f, FFHQ, 1024 px (TensorFlow)",
        "stylegan2-ffhq-config-f.pkl", f"{NVIDIA_NC}; {FFHQ}",
        "https://github.com/NVlabs/stylegan2",
        "https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks/stylegan2-ffhq-config-f.pkl",
        "adf127ea7bb8a7788c8bdeda3c9937f7310b669b09ecf799ca53a631ff46948d",
    ),
    Entry(
        "rosinality-ffhq-256", Kind.ROSINALITY, "StyleGAN2, FFHQ, 256 px, 550,000 steps",
        "550000.pt", f"not stated for the weights (code: MIT); {FFHQ}",
        "https://github.com/rosinality/stylegan2-pytorch#pretrained-checkpoints",
    ),
    Entry(
        "rosinality-ffhq-1024", Kind.ROSINALITY, "StyleGAN2 config-f, FFHQ, converted from NVIDIA",
        "stylegan2-ffhq-config-f.pt", f"{NVIDIA_NC}; {FFHQ}",
        "https://github.com/eladrich/pixel2style2pixel#auxiliary-models",
    ),
    Entry(
        "genforce-stylegan2-ffhq", Kind.GENFORCE_STYLEGAN2, "StyleGAN2 config-f, FFHQ, 1024 px",
        "stylegan2_ffhq1024.pth", f"{NVIDIA_NC}; {FFHQ}", ZOO_PAGE,
        f"{ZOO}/EX0DNWiBvl5FuOQTF4oMPBYBNSalcxTK0AbLwBn9Y3vfgg?e=Q0sZit&download=1",
    ),
    Entry(
        "genforce-stylegan-ffhq", Kind.GENFORCE_STYLEGAN, "StyleGAN, FFHQ, 1024 px",
        "stylegan_ffhq1024.pth", f"{CC_NC}; {FFHQ}", ZOO_PAGE,
        f"{ZOO}/EdfMxgb0hU9BoXwiR3dqYDEBowCSEF1IcsW3n4kwfoZ9OQ?e=VwIV58&download=1",
    ),
    Entry(
        "genforce-stylegan-celebahq", Kind.GENFORCE_STYLEGAN, "StyleGAN, CelebA-HQ, 1024 px",
        "stylegan_celebahq1024.pth", f"{CC_NC}; {CELEBA}", ZOO_PAGE,
        f"{ZOO}/EcCdXHddE7FOvyfmqeOyc9ABqVuWh8PQYFnV6JM1CXvFig?e=1nUYZ5&download=1",
    ),
    Entry(
        "genforce-pggan-celebahq", Kind.GENFORCE_PGGAN, "PGGAN, CelebA-HQ, 1024 px",
        "pggan_celebahq1024.pth", f"{CC_NC}; {CELEBA}", ZOO_PAGE,
        f"{ZOO}/EW_3jQ6E7xlKvCSHYrbmkQQBAB8tgIv5W5evdT6-GuXiWw?e=gRifVa&download=1",
    ),
    Entry(
        "stylegan-ffhq", Kind.STYLEGAN_TF, "StyleGAN, FFHQ, 1024 px (TensorFlow)",
        "karras2019stylegan-ffhq-1024x1024.pkl", f"{CC_NC}; {FFHQ}", STYLEGAN_PAGE,
    ),
    Entry(
        "stylegan-celebahq", Kind.STYLEGAN_TF, "StyleGAN, CelebA-HQ, 1024 px (TensorFlow)",
        "karras2019stylegan-celebahq-1024x1024.pkl", f"{CC_NC}; {CELEBA}", STYLEGAN_PAGE,
    ),
    Entry(
        "pggan-celebahq", Kind.PGGAN_TF, "PGGAN, CelebA-HQ, 1024 px (TensorFlow)",
        "karras2018iclr-celebahq-1024x1024.pkl", f"{CC_NC}; {CELEBA}",
        "https://github.com/tkarras/progressive_growing_of_gans#importing-and-using-pre-trained-networks",
    ),
    Entry(
        "interfacegan-stylegan-ffhq", Kind.GENFORCE_STYLEGAN, "StyleGAN, FFHQ, 1024 px",
        "stylegan_ffhq.pth", f"{CC_NC}; {FFHQ}", INTERFACEGAN,
        f"{DROPBOX}/qyv37eaobnow7fu/stylegan_ffhq.pth?dl=1",
    ),
    Entry(
        "interfacegan-stylegan-celebahq", Kind.GENFORCE_STYLEGAN, "StyleGAN, CelebA-HQ, 1024 px",
        "stylegan_celebahq.pth", f"{CC_NC}; {CELEBA}", INTERFACEGAN,
        f"{DROPBOX}/nmo2g3u0qt7x70m/stylegan_celebahq.pth?dl=1",
    ),
    Entry(
        "interfacegan-pggan-celebahq", Kind.GENFORCE_PGGAN, "PGGAN, CelebA-HQ, 1024 px",
        "pggan_celebahq.pth", f"{CC_NC}; {CELEBA}", INTERFACEGAN,
        f"{DROPBOX}/t74z87pk3cf8ny7/pggan_celebahq.pth?dl=1",
    ),
)  # fmt: skip
OTHERS = (
    Entry(
        "e4e-ffhq", Kind.E4E, "e4e encoder and its StyleGAN2, FFHQ, 1024 px", "e4e_ffhq_encode.pt",
        f"MIT (encoder), {NVIDIA_NC} (decoder); {FFHQ}", f"{E4E_PAGE}#pretrained-models",
    ),
    Entry(
        "psp-ffhq", Kind.PSP, "pSp encoder and its StyleGAN2, FFHQ, 1024 px", "psp_ffhq_encode.pt",
        f"MIT (encoder), {NVIDIA_NC} (decoder); {FFHQ}",
        "https://github.com/eladrich/pixel2style2pixel#pretrained-models",
    ),
    Entry(
        "stargan-celeba", Kind.STARGAN,
        "StarGAN, CelebA, 128 px: Black_Hair Blond_Hair Brown_Hair Male Young",
        "celeba-128x128-5attrs.zip", f"MIT; {CELEBA}", "https://github.com/yunjey/stargan",
        f"{DROPBOX}/7e966qq0nlxwte4/celeba-128x128-5attrs.zip?dl=1",
    ),
    Entry(
        "ganspace-ffhq", Kind.GANSPACE, "80 principal components in W of StyleGAN2 FFHQ config-f",
        "ffhq_pca.pt", "MIT", E4E_PAGE, f"{E4E}/ganspace_pca/ffhq_pca.pt",
    ),
)  # fmt: skip


def _boundary(model: str, attribute: str, space: str = "") -> Entry:
    """InterFaceGAN's boundary in Z, or in W with the space "_w"."""
    file = f"{model}_{attribute}{space}_boundary.npy"
    name = f"boundary-{model.replace('_', '-')}-{attribute}{space.replace('_', '-')}"
    what = f"{attribute} in {'W' if space else 'Z'} of {model}"
    return Entry(name, Kind.BOUNDARY, what, file, "MIT", INTERFACEGAN, f"{BOUNDARIES}/{file}")


def _direction(attribute: str) -> Entry:
    file, what = f"{attribute}.pt", f"{attribute} in W of StyleGAN2 FFHQ config-f"
    url = f"{E4E}/interfacegan_directions/{file}"
    return Entry(f"direction-{attribute}", Kind.DIRECTION, what, file, "MIT", E4E_PAGE, url)


FIVE = ("age", "eyeglasses", "gender", "pose", "smile")
STYLED = [(model, a) for model in ("stylegan_celebahq", "stylegan_ffhq") for a in FIVE]
DIRECTIONS = (
    *(_boundary("pggan_celebahq", attribute) for attribute in (*FIVE, "quality")),
    *(_boundary(model, attribute) for model, attribute in STYLED),
    *(_boundary(model, attribute, "_w") for model, attribute in STYLED),
    *(_direction(attribute) for attribute in ("age", "pose", "smile")),
)
CATALOGUE = (*GENERATORS, *OTHERS, *DIRECTIONS)


def find_entry(name: str) -> Entry:
    """The published checkpoint of that name; UnknownName suggests the nearest names."""
    for entry in CATALOGUE:
        if entry.name == name:
            return entry
    raise UnknownName("published checkpoint", name, [entry.name for entry in CATALOGUE])


def entry_of(sha256: str) -> Entry | None:
    """The published checkpoint with that checksum, if there is one."""
    return next((entry for entry in CATALOGUE if entry.sha256 == sha256), None)


def described(entry: Entry) -> dict[str, str]:
    """The entry as plain texts."""
    return {name: str(value) for name, value in asdict(entry).items()}
