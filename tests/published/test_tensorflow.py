"""TensorFlow's pickles of PGGAN and StyleGAN paint, once imported, what the equations say.

The references below read TensorFlow's variables as they are, without any layout of ours.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from typer.testing import CliRunner

from mien.checkpoint import load_model
from mien.errors import BadModel
from mien.generators import open_space
from mien.published import import_model
from mien.types import Latent
from tests.published import fakes

ROOT = math.sqrt(2)
WIDTHS = {8: (6, 6), 16: (8, 8, 5), 128: (6, 6, 6, 6, 4, 2)}
Z, W, HIDDEN = 10, 7, 9


def drawn(shapes):
    """Random variables of those shapes, the level of detail apart."""
    random = np.random.default_rng(5)
    made = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes}
    return made | {"lod": np.float32(0.25)}


def torches(variables):
    return {name: torch.as_tensor(value) for name, value in variables.items()}


def unit(x):
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


def rectified(x):
    return F.leaky_relu(x, 0.2)


def twice(x):
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def convolved(x, weight):
    """With TensorFlow's [k, k, I, O], scaled as the equalised learning rate asks."""
    scale = (ROOT if len(weight) == 3 else 1) / math.sqrt(weight[..., 0].numel())
    return F.conv2d(x, weight.permute(3, 2, 0, 1) * scale, padding=len(weight) // 2)


def transposed(x, weight):
    """tf.nn.conv2d_transpose of stride 2 with [k, k, O, I], its taps summed over 2 x 2."""
    scale = ROOT / math.sqrt(weight[:, :, 0].numel())
    wide = F.pad(weight.permute(3, 2, 0, 1) * scale, (1, 1, 1, 1))
    taps = wide[..., 1:, 1:] + wide[..., :-1, 1:] + wide[..., 1:, :-1] + wide[..., :-1, :-1]
    return F.conv_transpose2d(x, taps, stride=2, padding=1)


def shown(levels, v, place=""):
    """The picture of all levels' features, the finest weighted by the level of detail."""
    picture = None
    for n, x in enumerate(levels):
        lod = len(levels) - 1 - n
        name = f"{place}ToRGB_lod{lod}"
        fine = convolved(x, v[f"{name}/weight"]) + v[f"{name}/bias"].view(1, -1, 1, 1)
        part = (v["lod"] - lod).clamp(0, 1)
        picture = fine if picture is None else torch.lerp(fine, twice(picture), part)
    return picture


def pggan_variables(widths, fused):
    shapes = [("4x4/Dense/weight", (Z, 16 * widths[0])), ("4x4/Dense/bias", widths[:1])]
    shapes += [("4x4/Conv/weight", (3, 3, widths[0], widths[0])), ("4x4/Conv/bias", widths[:1])]
    for n in range(1, len(widths)):
        before, after, place = widths[n - 1], widths[n], f"{4 << n}x{4 << n}"
        first = f"{place}/Conv0_up" if fused else f"{place}/Conv0"
        inner = (after, before) if fused else (before, after)
        shapes += [(f"{first}/weight", (3, 3, *inner)), (f"{first}/bias", (after,))]
        shapes += [
            (f"{place}/Conv1/weight", (3, 3, after, after)),
            (f"{place}/Conv1/bias", (after,)),
        ]
    for n, width in enumerate(reversed(widths)):
        shapes += [(f"ToRGB_lod{n}/weight", (1, 1, width, 3)), (f"ToRGB_lod{n}/bias", (3,))]
    return drawn(shapes)


def pggan_picture(variables, z, fused):
    v = torches(variables)

    def ended(x, name):
        return unit(rectified(x + v[f"{name}/bias"].view(1, -1, 1, 1)))

    x = unit(z) @ v["4x4/Dense/weight"] * (ROOT / 4 / math.sqrt(Z))
    x = ended(x.reshape(len(z), -1, 4, 4), "4x4/Dense")
    levels = [ended(convolved(x, v["4x4/Conv/weight"]), "4x4/Conv")]
    while f"{2 * (px := levels[-1].shape[-1])}x{2 * px}/Conv1/bias" in v:
        place, x = f"{2 * px}x{2 * px}", levels[-1]
        if fused:
            x = ended(transposed(x, v[f"{place}/Conv0_up/weight"]), f"{place}/Conv0_up")
        else:
            x = ended(convolved(twice(x), v[f"{place}/Conv0/weight"]), f"{place}/Conv0")
        levels += [ended(convolved(x, v[f"{place}/Conv1/weight"]), f"{place}/Conv1")]
    return shown(levels, v)


def stylegan_variables(widths):
    shapes = [("dlatent_avg", (W,)), ("synthesis/lod", ())]
    for n, (before, after) in enumerate([(Z, HIDDEN), (HIDDEN, W)]):
        shapes += [
            (f"mapping/Dense{n}/weight", (before, after)),
            (f"mapping/Dense{n}/bias", (after,)),
        ]
    inputs = [widths[0], *widths]
    for number in range(2 * len(widths)):
        n, px = number // 2, 4 << number // 2
        kind = {0: "Const", 1: "Conv"}.get(number, "Conv1" if number % 2 else "Conv0_up")
        place, width = f"synthesis/{px}x{px}/{kind}", widths[n]
        before = width if number % 2 else inputs[n]
        shapes += [(f"{place}/weight", (3, 3, before, width))] if number else []
        shapes += [(f"{place}/const", (1, width, 4, 4))] if not number else []
        shapes += [(f"{place}/bias", (width,)), (f"{place}/Noise/weight", (width,))]
        shapes += [(f"{place}/StyleMod/weight", (W, 2 * width))]
        shapes += [(f"{place}/StyleMod/bias", (2 * width,))]
        shapes += [(f"synthesis/noise{number}", (1, 1, px, px))]
    for n, width in enumerate(reversed(widths)):
        place = f"synthesis/ToRGB_lod{n}"
        shapes += [(f"{place}/weight", (1, 1, width, 3)), (f"{place}/bias", (3,))]
    return drawn(shapes)


def stylegan_w(variables, z, rate=0.01):
    x, v = unit(z), torches(variables)
    for n in range(2):
        weight = v[f"mapping/Dense{n}/weight"]
        scale = ROOT / math.sqrt(len(weight)) * rate
        x = rectified(x @ weight * scale + v[f"mapping/Dense{n}/bias"] * rate)
    return x


def stylegan_picture(variables, styles, fused):
    """styles: w+ [N, L, W]."""
    v, levels = torches(variables), []

    def ended(x, name, number):
        x = x + v[f"synthesis/noise{number}"] * v[f"{name}/Noise/weight"].view(1, -1, 1, 1)
        x = rectified(x + v[f"{name}/bias"].view(1, -1, 1, 1))
        x = F.instance_norm(x, eps=1e-8)
        style = styles[:, number] @ v[f"{name}/StyleMod/weight"] / math.sqrt(W)
        style = (style + v[f"{name}/StyleMod/bias"]).view(len(x), 2, -1, 1, 1)
        return x * (style[:, 0] + 1) + style[:, 1]

    for n in range(styles.shape[1] // 2):
        place = f"synthesis/{4 << n}x{4 << n}"
        if n:
            name, weight = f"{place}/Conv0_up", v[f"{place}/Conv0_up/weight"]
            whole = fused is True or (fused == "auto" and 4 << n >= 128)
            turned = weight.permute(0, 1, 3, 2)
            x = transposed(levels[-1], turned) if whole else convolved(twice(levels[-1]), weight)
            line = torch.tensor([0.25, 0.5, 0.25])
            blur = torch.outer(line, line).expand(x.shape[1], 1, 3, 3)
            x = ended(F.conv2d(x, blur, padding=1, groups=x.shape[1]), name, 2 * n)
        else:
            name = f"{place}/Const"
            x = ended(v[f"{name}/const"].expand(len(styles), -1, -1, -1), name, 0)
        name = f"{place}/Conv1" if n else f"{place}/Conv"
        levels += [ended(convolved(x, v[f"{name}/weight"]), name, 2 * n + 1)]
    return shown(levels, v, "synthesis/")


def imported(path, folder):
    """The space of a published file, imported by the command line."""
    from mien.cli.app import app

    result = CliRunner().invoke(app, ["models", "import", str(path), "-o", str(folder)])
    assert result.exit_code == 0, result.output
    return open_space(folder), result.stdout


def check(got, want):
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)


def check_decoded(space, latents, want):
    faces = space.decode(Latent(latents.numpy(), space.space, space.mark))
    check(torch.from_numpy(faces), want.clamp(-1, 1))
    assert want.abs().min() < 0.5  # not everything is clipped


@torch.no_grad()
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("size", [8, 16])  # at 8 px no layer changes its width
def test_pggan_paints_what_its_variables_say(tmp_path, size, fused):
    variables = pggan_variables(WIDTHS[size], fused)
    kwargs = {"num_channels": 3, "resolution": size, "label_size": 0, "fused_scale": fused}
    path = fakes.tensorflow_pickle(tmp_path / "a.pkl", variables, kwargs, "tfutil")
    space, said = imported(path, tmp_path / "face")
    assert "pggan from pggan-tf" in said
    z = torch.randn(2, Z, generator=torch.Generator().manual_seed(1))
    want = pggan_picture(variables, z, fused)
    check(space.network(z), want)
    check_decoded(space, z, want)


@torch.no_grad()
@pytest.mark.parametrize(("size", "fused"), [(16, False), (16, True), (16, "auto"), (128, "auto")])
def test_stylegan_paints_what_its_variables_say(tmp_path, size, fused):
    variables = stylegan_variables(WIDTHS[size])
    path = fakes.tensorflow_pickle(tmp_path / "a.pkl", variables, {"fused_scale": fused})
    space, said = imported(path, tmp_path / "face")
    assert "stylegan from stylegan-tf" in said
    random = torch.Generator().manual_seed(1)
    z, styles = torch.randn(2, Z, generator=random), torch.randn(2, 2 * len(WIDTHS[size]), W)
    w = stylegan_w(variables, z)
    check(space.network.mapping(z), w)
    check(space.network.average, torch.from_numpy(variables["dlatent_avg"]))
    want = stylegan_picture(variables, styles, fused)
    check(space.network.synthesis(styles), want)
    check_decoded(space, styles, want)
    check(
        space.network(z, noise="stored"),
        stylegan_picture(variables, space.network.spread(w), fused),
    )


@torch.no_grad()
def test_options_of_stylegan_reach_the_model(tmp_path):
    variables = stylegan_variables(WIDTHS[8])
    kwargs = {
        "mapping_lrmul": 0.5,
        "truncation_psi": 0.6,
        "truncation_cutoff": 3,
        "use_noise": True,
    }
    space, _ = imported(
        fakes.tensorflow_pickle(tmp_path / "a.pkl", variables, kwargs), tmp_path / "a"
    )
    z = torch.randn(2, Z)
    w = stylegan_w(variables, z, 0.5)
    check(space.network.mapping(z), w)
    mean = torch.from_numpy(variables["dlatent_avg"])
    check(space.network.styles(z), torch.stack([mean + 0.6 * (w - mean)] * 3 + [w], 1))
    path = fakes.tensorflow_pickle(tmp_path / "b.pkl", variables, {"truncation_psi": 0.6})
    import_model(path, tmp_path / "b")
    tensors, card = load_model(tmp_path / "b")
    assert tensors["truncation"].tolist() == [np.float32(0.6)] * 4  # 8 rows and more
    assert card["source"]["format"] == "stylegan-tf"


@pytest.mark.parametrize(
    ("family", "kwargs", "named"),
    [
        ("pggan", {"use_wscale": False}, "use_wscale = false"),
        ("pggan", {"label_size": 3}, "label_size = 3"),
        ("pggan", {"use_pixelnorm": None}, "use_pixelnorm = null"),
        ("stylegan", {"blur_filter": [1, 3, 3, 1]}, r"blur_filter = \[1, 3, 3, 1\]"),
        ("stylegan", {"nonlinearity": "relu"}, 'nonlinearity = "relu"'),
    ],
)
def test_options_without_a_counterpart_are_refused(tmp_path, family, kwargs, named):
    held = {"pggan": pggan_variables((6, 6), False), "stylegan": stylegan_variables((6, 6))}
    path = fakes.tensorflow_pickle(tmp_path / "a.pkl", held[family], kwargs)
    with pytest.raises(BadModel, match=rf"a\.pkl was built with {named}, which"):
        import_model(path, tmp_path / "face")
    assert not (tmp_path / "face").exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"synthesis/8x8/Conv1/bias": np.zeros(5, np.float32)}, "layer3.* has shape"),
        (
            {"synthesis/5x5/Conv1/bias": np.zeros(5, np.float32)},
            "holds the variable 5x5/Conv1/bias",
        ),
        ({"other": np.zeros(5, np.float32)}, "holds the variable other"),
        ({"synthesis/ToRGB_lod1/bias": None}, "lacks synthesis.output0.bias"),
        ({"synthesis/noise2": None}, "lacks synthesis.layer2.apply_noise.noise"),
    ],
)
def test_variables_that_do_not_fit_are_named(tmp_path, change, named):
    variables = stylegan_variables(WIDTHS[8]) | change
    kept = {name: value for name, value in variables.items() if value is not None}
    path = fakes.tensorflow_pickle(tmp_path / "a.pkl", kept)
    with pytest.raises(BadModel, match=rf"a\.pkl.*{named}"):
        import_model(path, tmp_path / "face")
    assert not (tmp_path / "face").exists()
