"""Losses of styles against numbers recorded from e4e's and pSp's training code."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mien.train.adversarial import critic_logistic, r1
from mien.train.latent_critic import LatentCritic, Pool, active_rows, deltas, far_from, seem_own
from tests.parity import fill


@pytest.fixture(scope="module")
def data():
    return fill.load("tests/parity/e4e_losses")


@pytest.fixture
def critic(data):
    critic = LatentCritic()
    critic.load_state_dict({k: torch.from_numpy(np.asarray(v)) for k, v in data.state("D").items()})
    return critic


def given(data, *names):
    return [torch.from_numpy(data.input(name)) for name in names]


def check(data, outputs):
    for name, values in outputs.items():
        worst, passes = data.check(name, np.asarray(torch.as_tensor(values).detach()))
        assert passes, f"{name}: {worst}"


@pytest.mark.parametrize("stage", [0, 3, 9, 18])
def test_the_encoder_is_pulled_to_own_styles_and_small_differences(data, critic, stage):
    latent, y, drawn = given(data, "latent", "y", "y_hat")
    latent.requires_grad_()
    config = data.manifest["config"]
    rows = active_rows(latent, stage)
    own, apart = seem_own(critic, rows), deltas(rows)
    loss = F.mse_loss(drawn, y) + config["w_lambda"] * own
    found = {f"calc_loss.stage{stage}.disc": own}
    if stage < 18:
        loss = loss + config["delta_lambda"] * apart.sum()
        found[f"calc_loss.stage{stage}.total_delta"] = apart.sum()
        found[f"calc_loss.stage{stage}.deltas"] = apart
    (gradient,) = torch.autograd.grad(loss, latent)
    found[f"calc_loss.stage{stage}"] = loss
    check(data, found | {f"calc_loss.stage{stage}.grad1e4": 1e4 * gradient})


def test_the_critic_tells_styles_apart(data, critic):
    real, fake = given(data, "real_w", "fake_w")
    penalty = r1(critic, real)
    (gradient,) = torch.autograd.grad(penalty, critic.mlp[0].weight)
    check(data, {"logits": critic(real), "r1": penalty, "r1_grad_w0": 10 * gradient})
    check(data, {"d_loss": critic_logistic([critic(real)], [critic(fake)])})


def test_one_step_of_the_critic_as_published(data, critic):
    real, fake = given(data, "real_w", "fake_w")
    config = data.manifest["config"]
    optimiser = torch.optim.Adam(critic.parameters(), config["lr"])
    before = critic.mlp[6].weight.detach().clone()
    loss = critic_logistic([critic(real)], [critic(fake)])
    weighted = []
    for name in ("loss", "penalty"):
        if name == "penalty":
            loss = config["r1"] / 2 * r1(critic, real) * config["d_reg"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        weighted.append(float(loss.detach()))
    moved = (critic.mlp[6].weight - before) / config["lr"]
    check(data, {"train_delta_over_lr": moved})
    np.testing.assert_allclose(weighted, data.output("train_losses")[2:], rtol=1e-4)


def test_the_pool_gives_older_styles_as_published(data):
    config = data.manifest["config"]
    pool = Pool(config["pool_size"], config["pool_seed"])
    batches = torch.from_numpy(data.input("pool_in"))
    check(data, {"pool_out": torch.stack([pool.query(batch) for batch in batches])})
    assert len(pool.styles) == config["pool_size"]


def test_norms_of_codes():
    data = fill.load("tests/parity/arcface_id_loss")
    latent, average = given(data, "latent", "latent_avg")
    check(data, {"w_norm": far_from(latent, average), "w_norm_plain": far_from(latent)})
