"""ArcFace's network and loss against numbers recorded from pSp's."""

import numpy as np
import torch

from mien.recognise.arcface import ArcFace, face_of, identity_loss
from tests.parity import fill


def test_embeddings_and_identity_loss():
    data = fill.load("tests/parity/arcface_id_loss")
    state = data.state("I").items()
    network = ArcFace().eval().requires_grad_(False)
    network.load_state_dict(
        {k.removeprefix("facenet."): torch.from_numpy(np.asarray(v)) for k, v in state}
    )
    x, y, noise = (torch.from_numpy(data.input(name)) for name in ("x", "y", "noise"))
    drawn = (0.6 * y + 0.4 * noise).requires_grad_()
    loss = identity_loss(network, drawn, y)
    (gradient,) = torch.autograd.grad(loss, drawn)
    small = torch.from_numpy(data.input("img112"))
    found = {
        "pooled_x": face_of(x), "emb_x": network(face_of(x)), "emb_y": network(face_of(y)),
        "emb_y_hat": network(face_of(drawn)), "emb_112": network(small),
        "body_112": network.features(small)[-1], "loss": loss, "grad_y_hat": 1000 * gradient,
    }  # fmt: skip
    for name, values in found.items():
        worst, passes = data.check(name, values.detach().numpy())
        assert passes, f"{name}: {worst}"
