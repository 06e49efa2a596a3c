"""MoCo's ResNet-50: a forward pass written out from its keys, the known sizes, and its files."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mien.errors import BadInput, BadModel
from mien.recognise.imagenet import MEAN, STD
from mien.recognise.moco import ResNet, open_moco, similarity_loss, view_of

UNITS, WIDTH = (2, 1, 2), 8


@pytest.fixture(scope="module")
def network():
    """Narrow and shallow, its normalisation as after a training."""
    torch.manual_seed(0)
    made = ResNet(UNITS, WIDTH).train()
    with torch.no_grad():
        for x in made.parameters():
            if x.ndim == 1:
                x.uniform_(0.5, 1.5)
        made(torch.randn(4, 3, 64, 64))
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def pictures():
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


def written_out(state, x):
    """The embedding by the keys of the state dict, in float64."""
    state = {key: value.double() for key, value in state.items()}

    def norm(x, key):
        weight, bias, mean, variance = (
            state[f"{key}.{name}"][:, None, None]
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * weight + bias

    def layer(x, where, number, **options):
        x = F.conv2d(x, state[f"{where}conv{number}.weight"], **options)
        return norm(x, f"{where}bn{number}")

    x = layer(x.double(), "", 1, stride=2, padding=3).relu()
    x = F.max_pool2d(x, 3, stride=2, padding=1)
    for stage, units in enumerate(UNITS, start=1):
        for unit in range(units):
            where = f"layer{stage}.{unit}."
            stride = 2 if unit == 0 and stage > 1 else 1
            out = layer(x, where, 1).relu()
            out = layer(out, where, 2, stride=stride, padding=1).relu()
            out = layer(out, where, 3)
            if unit == 0:
                x = F.conv2d(x, state[f"{where}downsample.0.weight"], stride=stride)
                x = norm(x, f"{where}downsample.1")
            x = (out + x).relu()
    x = x.mean((2, 3))
    return x / x.norm(dim=1, keepdim=True)


def test_embeddings_are_those_written_out(network, pictures):
    wanted = written_out(network.state_dict(), pictures)
    torch.testing.assert_close(network(pictures).double(), wanted, rtol=1e-4, atol=1e-5)


def test_keys_and_sizes_are_those_of_the_published_resnet50():
    with torch.device("meta"):
        network = ResNet()
    state = network.state_dict()
    assert len(state) == 318  # torchvision's 320 without its classifier
    assert sum(x.numel() for x in network.parameters()) == 25_557_032 - 2_049_000
    shapes = {
        "conv1.weight": (64, 3, 7, 7), "bn1.running_mean": (64,),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1), "layer1.2.conv1.weight": (64, 256, 1, 1),
        "layer2.0.conv2.weight": (128, 128, 3, 3), "layer3.5.bn3.weight": (1024,),
        "layer4.0.downsample.1.running_var": (2048,), "layer4.2.conv3.weight": (2048, 512, 1, 1),
        "layer4.2.bn2.num_batches_tracked": (),
    }  # fmt: skip
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


def test_the_view_is_what_imagenet_networks_read():
    grey = torch.zeros(1, 3, 64, 64)
    for channel, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
        wanted = torch.full((224, 224), (0.5 - mean) / std)
        torch.testing.assert_close(view_of(grey)[0, channel], wanted, rtol=0, atol=1e-5)
    assert view_of(torch.zeros(2, 3, 300, 300)).shape == (2, 3, 224, 224)


def test_the_loss_is_that_of_cosines_and_pulls_the_drawing(network, pictures):
    drawn = pictures.flip(0).contiguous().requires_grad_()
    loss = similarity_loss(network, drawn, pictures)
    one, other = (written_out(network.state_dict(), view_of(x)) for x in (drawn.detach(), pictures))
    assert loss.item() == pytest.approx(float(1 - (one * other).sum(1).mean()), abs=1e-5)
    (gradient,) = torch.autograd.grad(loss, drawn)
    nearer = drawn.detach() - 0.5 * gradient / gradient.square().sum().sqrt()
    assert similarity_loss(network, nearer, pictures) < loss
    assert similarity_loss(network, pictures, pictures).item() == pytest.approx(0, abs=1e-5)


def published(path, drop=""):
    """A file as MoCo's, a number a tensor: {tensor: number}."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in ResNet().state_dict().items()}
    shapes |= {"fc.0.weight": (2048, 2048), "fc.2.bias": (128,)}
    numbers = {key: float(number) for number, key in enumerate(shapes) if key != drop}
    state = {
        f"module.encoder_{side}.{key}": torch.tensor(number + shift).expand(shapes[key])
        for side, shift in (("q", 0), ("k", 1000))
        for key, number in numbers.items()
    }
    state |= {"module.queue": torch.zeros(1).expand(128, 4), "module.queue_ptr": torch.zeros(1)}
    torch.save({"epoch": 800, "arch": "resnet50", "state_dict": state, "optimizer": {}}, path)
    return numbers


def test_a_published_file_gives_the_query_encoder(tmp_path):
    numbers = published(tmp_path / "moco_v2_800ep_pretrain.pth.tar")
    network = open_moco(tmp_path / "moco_v2_800ep_pretrain.pth.tar")
    assert not network.training
    assert not any(x.requires_grad for x in network.parameters())
    for key, value in network.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), numbers[key], err_msg=key)


def test_files_that_are_no_moco_are_refused(tmp_path):
    with pytest.raises(BadInput, match="moco_v2_800ep"):
        open_moco(tmp_path / "none.pth.tar")
    published(tmp_path / "partial.tar", drop="layer3.5.conv2.weight")
    torch.save({"state_dict": {"conv1.weight": torch.zeros(2)}}, tmp_path / "other.tar")
    torch.save({"model": {}}, tmp_path / "else.tar")
    torch.save([1, 2], tmp_path / "list.tar")
    (tmp_path / "damaged.tar").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "empty.tar").write_bytes(b"")
    for name in ("partial", "other", "else", "list", "damaged", "empty"):
        with pytest.raises(BadModel, match=f"{name}.tar does not hold"):
            open_moco(tmp_path / f"{name}.tar")
