"""The projected discriminator: folded trunks, fixed mixing, heads that learn."""

import pytest
import torch

from mien.recognise import efficientnet_lite0, mobilenet_v2
from mien.recognise.imagenet import load_trunk, normalise
from mien.train.projected import (
    CHANNELS,
    TAPS,
    Features,
    Head,
    Mixing,
    PhotoNorm,
    Projected,
    fold_norms,
)


@pytest.fixture
def faces():
    torch.manual_seed(0)
    return torch.rand(2, 3, 64, 64) * 2 - 1


def test_folded_norms_change_nothing():
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
        torch.nn.Sequential(torch.nn.Conv2d(4, 5, 1, bias=False), torch.nn.BatchNorm2d(5)),
    )  # fmt: skip
    x = torch.randn(6, 3, 8, 8)
    network(x)  # moves the running statistics
    network.eval()
    want = network(x)
    fold_norms(network)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.modules())
    torch.testing.assert_close(network(x), want)


STRIDES = [(2, slice(4)), (4, slice(1, 5))]


@pytest.mark.parametrize(("stride", "chosen"), STRIDES)
def test_mobilenets_maps_are_the_trunks(faces, stride, chosen):
    x, want = normalise(faces), []
    trunk = load_trunk(mobilenet_v2).eval()
    with torch.no_grad():
        for number, layer in enumerate(trunk.layers()):
            x = layer(x)
            want += [x] if number in TAPS["mobilenet_v2"] else []
        got = Features("mobilenet_v2", stride)(faces)
    for one, two in zip(got, want[chosen], strict=True):
        torch.testing.assert_close(one[:, :-3], two, rtol=1e-3, atol=1e-3)


def test_maps_end_with_the_colours_of_their_places(faces):
    with torch.no_grad():
        maps = Features("mobilenet_v2", 2, pretrained=False)(faces)
    for x in maps:
        side = x.shape[2]
        blocks = faces.reshape(2, 3, side, 64 // side, side, 64 // side)
        torch.testing.assert_close(x[:, -3:], blocks.mean((3, 5)))


def test_lite0s_last_tap_is_the_trunks(faces):
    trunk, seen = load_trunk(efficientnet_lite0).eval(), []
    last = TAPS["efficientnet_lite0"][-1] - 1  # the stem is layer 0
    trunk._blocks[last].register_forward_hook(lambda *a: seen.append(a[2]))
    with torch.no_grad():
        trunk(normalise(faces))
        got = Features("efficientnet_lite0", 4)(faces)[-1]
    torch.testing.assert_close(got[:, :-3], seen[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("stride", "chosen"), STRIDES)
@pytest.mark.parametrize("trunk", sorted(TAPS))
def test_maps_have_the_strides_and_channels_declared(trunk, faces, stride, chosen):
    with torch.no_grad():
        maps = Features(trunk, stride, pretrained=False)(faces)
    assert [x.shape[1] for x in maps] == [count + 3 for count in CHANNELS[trunk][chosen]]
    assert [64 // x.shape[2] for x in maps] == [stride, 2 * stride, 4 * stride, 8 * stride]


@pytest.mark.parametrize(("size", "side"), [(64, 32), (128, 32), (256, 64)])
def test_small_faces_are_enlarged_for_the_trunk(size, side):
    judge = Projected(size, "mobilenet_v2", pretrained=False)
    with torch.no_grad():
        maps = judge.project(torch.zeros(1, 3, size, size))
        logits = judge.logits(maps, photos=True)
    assert [x.shape[2] for x in maps] == [side, side // 2, side // 4, side // 8]
    assert len(logits) == 4


def test_the_close_view_is_the_inner_face_with_heads_of_its_own(faces):
    judge = Projected(64, "mobilenet_v2", pretrained=False)
    with torch.no_grad():
        whole = judge.project(faces)
        judge.close = True
        close = judge.project(faces)
        inner = torch.nn.functional.interpolate(
            faces[:, :, 20:52, 16:48], size=128, mode="bilinear"
        )
        for one, two in zip(close, judge.mixing(judge.features(inner)), strict=True):
            torch.testing.assert_close(one, two)
    assert [x.shape for x in close] == [x.shape for x in whole]
    sum(x.sum() for x in judge.logits(close, photos=True)).backward()
    assert all(x.grad is None for x in judge.heads.parameters())
    assert all(x.grad is not None for x in judge.close_heads.parameters())


def test_mixing_is_linear_and_lets_coarse_maps_reach_fine_ones():
    mixing = Mixing((2, 3), (4, 5))
    fine, coarse = torch.randn(1, 5, 8, 8), torch.randn(1, 6, 4, 4)
    both = mixing([fine, coarse])
    alone = [a + b for a, b in zip(mixing([fine, 0 * coarse]), mixing([0 * fine, coarse]),
                                   strict=True)]  # fmt: skip
    for one, two in zip(both, alone, strict=True):
        torch.testing.assert_close(one, two)
    assert mixing([0 * fine, coarse])[0].abs().sum() > 0  # coarse to fine
    assert mixing([fine, 0 * coarse])[1].abs().sum() == 0  # never back


@pytest.mark.parametrize("side", [2, 4, 8, 16, 32])
def test_heads_judge_patches_of_any_map(side):
    head = Head(4, side)
    assert head(torch.randn(2, 4, side, side)).shape[:2] == (2, 1)


def test_heads_see_that_a_batch_holds_one_face_only():
    torch.manual_seed(0)
    head = Head(4, 8).eval()
    various = torch.randn(4, 4, 8, 8)
    alone, among = head(various[:1].expand(4, -1, -1, -1))[0], head(various)[0]
    assert not torch.allclose(alone, among, atol=1e-3)


def test_heads_have_spectral_norm_one():
    head = Head(8, 8)
    for _ in range(30):
        head(torch.randn(2, 8, 8, 8))
    first = head.layers[0].weight.detach().flatten(1)
    assert float(torch.linalg.matrix_norm(first, 2)) == pytest.approx(1, abs=0.02)


def test_samples_are_normalised_by_the_photos_statistics():
    layer = PhotoNorm(3)
    photos = torch.randn(8, 3, 4, 4) * 3 + 2
    for _ in range(200):
        layer.photos = True
        normalised = layer(photos)
    torch.testing.assert_close(normalised.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-4)
    layer.photos = False
    kept = layer.running_mean.clone()
    moved = layer(photos + 6) - layer(photos)
    spread = photos.transpose(0, 1).flatten(1).std(1, correction=0)
    torch.testing.assert_close(moved.mean((0, 2, 3)), 6 / spread, rtol=1e-3, atol=1e-3)
    assert torch.equal(layer.running_mean, kept)  # samples leave no trace


def test_photos_and_samples_are_normalised_alike():
    layer = PhotoNorm(3, momentum=0.05)
    faces = torch.randn(4, 3, 4, 4, generator=torch.Generator().manual_seed(0)) + 2
    as_photos = layer(faces)
    layer.photos = False
    assert torch.equal(layer(faces), as_photos)


def test_only_heads_learn_and_faces_get_gradients(faces):
    judge = Projected(64, "mobilenet_v2", pretrained=False)
    learning = {key for key, value in judge.named_parameters() if value.requires_grad}
    assert learning
    assert all(key.startswith(("heads.", "close_heads.")) for key in learning)
    faces.requires_grad_()
    logits = judge.logits(judge.project(faces), photos=True)
    (gradient,) = torch.autograd.grad(sum(x.sum() for x in logits), faces)
    assert gradient.abs().sum() > 0
