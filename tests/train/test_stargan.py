"""StarGAN's training: the published solver's numbers, joint labels, resuming, the model folder."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from PIL import Image

from mien.checkpoint import save_model
from mien.directions import edit, open_directions
from mien.errors import BadInput, BadModel, UnknownName
from mien.generators import open_space, open_translator
from mien.generators._labels import Part, Vocabulary
from mien.published import _stargan
from mien.train import _stargan_begin, _stargan_data, _stargan_state, stargan
from mien.train._stargan_data import Source, read_classes
from mien.train._stargan_guide import Edits
from mien.train.run import Run, half_precision
from mien.train.stargan import Batch, Recipe
from tests.celeba import noise
from tests.parity import fill

LOSSES = {"stargan": "wgan-gp", "stargan_hinge_dlim": "hinge-gp", "stargan_lut_dlim": "wgan-gp"}
TOY = Recipe(
    size=16, width=4, depth=1, critic_width=4, critic_depth=2, batch=8, steps=24, decay_steps=12,
    n_critic=2, rate=1e-3, critic_rate=1e-3, every=8, watch_every=8, log_every=1, average=0.9,
)  # fmt: skip


def published(name):
    """(fixture, state with its weights, recipe of its settings)."""
    fixture = fill.load(f"tests/parity/{name}")
    config = fixture.manifest["config"]
    ours, shape = _stargan.generator_to_ours(fixture.state("G"))
    theirs, critic = _stargan.discriminator_to_ours(fixture.state("D"))
    recipe = Recipe(
        size=critic.size, width=shape.width, depth=shape.depth, critic_width=critic.width,
        critic_depth=critic.depth, condition=shape.condition, reading=shape.reading,
        loss=LOSSES[name], precision="fp32", n_critic=config["n_critic"], rate=config["lr"],
        critic_rate=config["lr"], cls=config["lambda_cls"], rec=config["lambda_rec"],
        penalty=config["lambda_gp"],
    )  # fmt: skip
    names = tuple(f"label_{number}" for number in range(config["c_dim"]))
    state = _stargan_state.start(recipe, Vocabulary((Part(names),)))
    kept = {key: torch.from_numpy(v) for key, v in ours.items() if "running" not in key}
    state.generator.load_state_dict(kept)
    state.critic.load_state_dict({key: torch.from_numpy(v) for key, v in theirs.items()})
    return fixture, state, recipe


@pytest.mark.parametrize("name", LOSSES)
def test_the_published_training_is_repeated(name, monkeypatch):
    fixture, state, recipe = published(name)
    given = ("batches", "labels", "perms", "alphas")
    faces, labels, perms, alphas = (torch.from_numpy(fixture.input(key)) for key in given)
    gradients, step = {}, stargan._step

    def noting(optimiser, loss):
        step(optimiser, loss)
        which = "D" if optimiser is state.critic_optimiser else "G"
        for key, value in getattr(
            state, {"D": "critic", "G": "generator"}[which]
        ).named_parameters():
            gradients.setdefault(f"{which}.{key}", value.grad.detach().clone())

    monkeypatch.setattr(stargan, "_step", noting)
    rows = {"D": [], "G": []}
    for turn in range(len(faces)):
        batch = Batch(faces[turn], labels[turn], labels[turn][perms[turn]], alphas[turn])
        both = (turn + 1) % recipe.n_critic == 0
        terms = stargan.update(state, batch, recipe, both)
        rows["D"].append([terms[key] for key in ("D/real", "D/fake", "D/cls", "D/gp")])
        if both:
            rows["G"].append([terms[key] for key in ("G/fake", "G/rec", "G/cls")])
    for which, found in rows.items():
        for output, got in (
            (f"train_{which}_losses", found),
            (f"train_{which}_losses_first", found[0]),
        ):
            worst, passes = fixture.check(output, np.array(got, np.float32))
            assert passes, f"{output} is {worst:.2e} away"
    named = [output for output in fixture.manifest["outputs"] if output.startswith("train_grad.")]
    assert len(named) == 5
    for output in named:
        which, key = output.removeprefix("train_grad.").split(".", 1)
        if key[0] == "L":  # lookup tables' layers, counted from 1
            key = f"main.{int(key[1:].split('.')[0]) - 1}.weight"
        worst, passes = fixture.check(output, gradients[f"{which}.{key}"].numpy())
        assert passes, f"{output} is {worst:.2e} away"


def test_hinge_sides_are_the_published_ones():
    fixture = fill.load("tests/parity/stargan_hinge_dlim")
    critic = _stargan.open_discriminator(fixture.state("D"))
    scores = [critic(torch.from_numpy(fixture.input(name)))[0] for name in ("x", "fake")]
    sides = _stargan_state.LOSSES["hinge-gp"][0](*scores)
    for name, side in zip(("d_hinge_real", "d_hinge_fake"), sides, strict=True):
        worst, passes = fixture.check(name, side.detach().numpy())
        assert passes, f"{name} is {worst:.2e} away"


def coloured(count, names, seed, size=16):
    """Pictures of noise that a label makes redder, another greener."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, (count, len(names)))
    faces = random.integers(60, 120, (count, size, size, 3))
    for column, name in enumerate(names):
        faces[..., ("red", "green", "blue").index(name)] += 110 * labels[:, column, None, None]
    part = Part(tuple(names))
    return Source(faces.astype(np.uint8), np.arange(count), torch.from_numpy(labels).float(), part)


def fit(sources, folder, recipe, progress=lambda *a: None):
    seen = []
    run = Run(folder, tensorboard=False)
    return stargan.fit(sources, run, recipe, progress, lambda state, step: seen.append(step)), seen


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(tmp_path):
    def stop(step, *rest):
        if step == 11:  # after the checkpoint of step 8, with rates that will fall
            raise KeyboardInterrupt

    sources = [coloured(40, ["red"], 0), coloured(30, ["green", "blue"], 1)]
    recipe = replace(TOY, targets="mixed")
    whole, seen = fit(sources, tmp_path / "whole", recipe)
    assert seen == [8, 16, 24]
    with pytest.raises(KeyboardInterrupt):
        fit(sources, tmp_path / "parts", recipe, stop)
    parts, seen = fit(sources, tmp_path / "parts", recipe)
    assert seen == [16, 24]
    assert lines(tmp_path / "parts") == lines(tmp_path / "whole")
    for name in ("generator", "averaged", "critic"):
        found, wanted = (getattr(state, name).state_dict() for state in (parts, whole))
        for key, value in wanted.items():
            torch.testing.assert_close(found[key], value, rtol=0, atol=0)


def test_a_joint_model_learns_what_each_data_set_labels(tmp_path):
    sources = [coloured(64, ["red"], 0), coloured(64, ["green"], 1)]
    recipe = replace(
        TOY, steps=150, decay_steps=50, n_critic=1, width=8, critic_width=8, cls=3.0, rate=5e-3,
        critic_rate=5e-3, precision="fp32", every=150, watch_every=150,
    )  # fmt: skip
    state, _ = fit(sources, tmp_path, recipe)
    for part, channel in ((0, 0), (1, 1)):
        other = sources[1 - part]  # pictures whose labels of this kind nobody knew
        faces = torch.from_numpy(other.faces[:32].transpose(0, 3, 1, 2) / 127.5 - 1).float()
        with torch.no_grad():
            made = [
                state.averaged.module(faces, state.vocabulary.vector(torch.full((32, 1), v), part))
                for v in (0.0, 1.0)
            ]
        moved = (made[1] - made[0]).mean((0, 2, 3))
        assert moved[channel] > 0.2, moved
        assert moved[channel] > 2 * moved[1 - channel].abs(), moved


@pytest.mark.parametrize("loss", ["wgan-gp", "hinge-gp", "hinge"])
@pytest.mark.parametrize("condition", ["maps", "lookup"])
def test_unknown_labels_change_nothing_that_is_learned_of_known_ones(loss, condition):
    recipe = replace(TOY, loss=loss, condition=condition, precision="fp32")
    state = _stargan_state.start(recipe, Vocabulary((Part(("a", "b")),)))
    faces, mix = torch.rand(4, 3, 16, 16) * 2 - 1, torch.rand(4, 1, 1, 1)
    labels = torch.tensor([[0.5, 1], [0.5, 0], [0.5, 0], [0.5, 1]])
    batch = Batch(faces, labels, labels.flip(0), mix)
    critic, _ = stargan.critic_loss(state, batch, faces.flip(3), recipe)
    critic.backward()
    assert state.critic.conv2.weight.grad[0].abs().max() == 0
    assert state.critic.conv2.weight.grad[1].abs().max() > 0
    made = state.generator(faces, labels.flip(0))
    first = stargan.generator_loss(state, batch, made, recipe)[1]["G/cls"]
    with torch.no_grad():
        state.critic.conv2.weight[0] += 1  # what is said of the unknown name
    assert torch.equal(first, stargan.generator_loss(state, batch, made, recipe)[1]["G/cls"])


class Ruddy:
    """A teacher that reads redness, and how rough the picture is."""

    names, size = ("Rough", "Red"), 32

    def __init__(self, sure=1.0):
        self.sure = sure

    def score(self, faces):
        rough = (faces[..., 1:] - faces[..., :-1]).abs().mean((1, 2, 3))
        return torch.stack([100 * rough, self.sure * faces[:, 0].mean((1, 2))], 1)


def test_a_teacher_adds_its_own_cross_entropy_and_sees_no_fine_pattern():
    recipe = replace(TOY, size=32, teacher=0.25, precision="fp32")
    state = _stargan_state.start(recipe, Vocabulary((Part(("Red",)),)))
    faces, mix = torch.rand(4, 3, 32, 32) * 2 - 1, torch.rand(4, 1, 1, 1)
    labels = torch.tensor([[1.0], [0], [1], [0.5]])
    batch = Batch(faces, labels, labels, mix)
    alone, terms = stargan.generator_loss(state, batch, faces, recipe)
    assert "G/teacher" not in terms
    state.teachers = (Ruddy(),)
    loss, terms = stargan.generator_loss(state, batch, faces, recipe)
    logits = faces[:3, 0].mean((1, 2))
    wanted = torch.nn.functional.softplus(torch.stack([-logits[0], logits[1], -logits[2]]))
    torch.testing.assert_close(terms["G/teacher"], wanted.sum() / 4, rtol=0.02, atol=0)
    torch.testing.assert_close(loss, alone + 0.25 * terms["G/teacher"])
    doubled = replace(recipe, emphasis=(2.0,))
    _, more = stargan.generator_loss(state, batch, faces, doubled)
    torch.testing.assert_close(more["G/teacher"], 2 * terms["G/teacher"])
    pattern = torch.tensor([[0.8, -0.8], [-0.8, 0.8]]).repeat(16, 16).expand(1, 3, 32, 32)
    for side in (32, 16):  # faces of the teacher's size, and smaller ones
        seen = stargan._seen(state.teachers[0], pattern[..., :side, :side], Part(("Rough", "Red")))
        assert seen.abs().max() < 1  # 160 at full size


def test_lessons_teach_what_the_guide_adds(tmp_path):
    """The generator alone learns to add redness where it is asked for, and to take it."""
    source = coloured(64, ["red"], 0)
    recipe = replace(
        TOY, condition="lookup", residual=True, guide=10, lessons=120, steps=120, decay_steps=40,
        width=8, rate=5e-3, every=120, watch_every=120, precision="fp32", targets="single",
    )  # fmt: skip

    class Reddens:
        def added(self, faces, labels, targets, names, masks=None):
            change = torch.zeros_like(faces)
            change[:, 0] = (targets - labels)[:, :, None] * 0.5
            return change

    state = _stargan_state.start(recipe, Vocabulary((source.part,)))
    state.guide = Reddens()
    before = state.critic.state_dict()["conv1.weight"].clone()
    for step in range(recipe.lessons):
        batch = stargan.draw(source, 0, 1, step, recipe)
        stargan.lesson(state, batch, recipe)
    batch = stargan.draw(source, 0, 1, 500, recipe)
    with torch.no_grad():
        made = state.generator(batch.faces, batch.targets)
    added = (made - batch.faces).mean((2, 3))
    wanted = Reddens().added(batch.faces, batch.labels, batch.targets, ("red",)).mean((2, 3))
    assert (added - wanted).abs().max() < 0.2
    assert torch.equal(before, state.critic.state_dict()["conv1.weight"])


def test_a_guide_edits_as_its_space_does():
    """What it adds to a decoded face is the space's own edit of it, and nothing unasked."""
    guide = Edits("vae-128", ("Male", "Young"), (1.5, 1.0))
    space, named = open_space("vae-128"), open_directions("vae-128-directions")
    latent = space.sample(2, seed=3)
    faces = space.decode(latent)
    labels = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    targets = torch.tensor([[1.0, 1.0], [0.0, 0.5]])  # Male; and nothing that is known
    names = ("Male", "Young")
    added = guide.added(torch.from_numpy(faces), labels, targets, names)
    alone = guide.added(torch.from_numpy(faces), labels[:, :1], targets[:, :1], names[:1])
    own = space.encode(faces)
    wanted = space.decode(edit(own, named, {"Male": np.array([1.5, 0.0])})) - space.decode(own)
    assert np.abs(wanted[0]).max() > 0.3
    assert np.abs(added.numpy() - wanted).mean() < 0.01
    assert added[1].abs().max() == 0
    torch.testing.assert_close(alone[0], added[0])  # of a data set that knows only some names
    with pytest.raises(BadInput, match="128 px"):
        guide.added(torch.zeros(1, 3, 64, 64), labels[:1], targets[:1], names)
    with pytest.raises(UnknownName, match="guide"):
        Edits("vae-128", ("Redness",))
    with pytest.raises(BadInput, match="1 numbers for 2 names"):
        Edits("vae-128", ("Male", "Young"), (2.0,))


def saved(state, recipe, folder):
    """A model folder of an untrained generator, whose card is read from its folder's name."""
    parts = state.vocabulary.parts
    card = {
        "name": folder.name, "kind": "translator", "architecture": "stargan",
        "options": asdict(recipe.shape(state.vocabulary.width)),
        "parts": [{"names": list(part.names), "kind": part.kind} for part in parts],
        "input": {"size": 16, "frame": "celeba", "range": [-1, 1]},
    }  # fmt: skip
    save_model(folder, half_precision(state.generator.state_dict()), card)
    return folder


def test_a_translator_shows_what_another_adds(tmp_path):
    """Its translations are the examples, of every data set that it knows, and of no other names."""
    known = Vocabulary((Part(("red", "green")), Part(("calm", "cross"), "classes")))
    tables = replace(TOY, condition="lookup", residual=True)
    state = _stargan_state.start(tables, known)
    for name, value in state.generator.named_parameters():
        if "gain" in name:
            torch.nn.init.normal_(value)
    folder = saved(state, tables, tmp_path / "shows")
    recipe = replace(TOY, guide=1.0, guided_by=str(folder), precision="fp32")
    pupil = _stargan_state.start(recipe, known)
    _stargan_state.equip(pupil, recipe)
    faces, labels = torch.rand(3, 3, 16, 16) - 0.5, torch.tensor([[1.0, 0], [0, 1], [1, 0]])
    for number, part in enumerate(known.parts):
        shown = open_translator(folder).translate(faces.numpy(), labels.numpy(), number)
        added = pupil.guide.added(faces, labels, labels, part.names)
        assert added.abs().max() > 0.01
        found = (faces + added).clamp(-1, 1)
        torch.testing.assert_close(found, torch.from_numpy(shown), rtol=0, atol=1e-5)
    with pytest.raises(BadInput, match="16 px"):
        pupil.guide.added(torch.zeros(1, 3, 32, 32), labels[:1], labels[:1], ("red", "green"))
    for wrong in ({"amounts": (1.0,) * 4}, {"hues": 0.5}, {"ratio": 0.1}):
        with pytest.raises(BadInput, match="leave out hair, amounts, hues and ratio"):
            _stargan_state.equip(pupil, replace(recipe, **wrong))
    other = _stargan_state.start(recipe, Vocabulary((Part(("blue",)),)))
    with pytest.raises(BadInput, match="translates red, green, calm, cross"):
        _stargan_state.equip(other, recipe)


def test_label_maps_begin_with_the_mean_of_lookup_tables(tmp_path):
    """Deaf to labels, it translates as the tables do when half of every label is there."""
    known = Vocabulary((Part(("red", "green")),))
    recipe = replace(TOY, condition="lookup")
    tables = _stargan_state.start(recipe, known)
    for value in tables.generator.parameters():
        torch.nn.init.normal_(value, std=0.3)
    folder = saved(tables, recipe, tmp_path / "tables")
    maps = replace(TOY, begin=str(folder), loud=0.0)
    state = _stargan_state.start(maps, known)
    _stargan_state.equip(state, maps)
    faces, half = torch.rand(2, 3, 16, 16) - 0.5, torch.full((2, 2), 0.5)
    with torch.no_grad():
        wanted = tables.generator(faces, half)
        for labels in (half, torch.eye(2)):
            found = state.generator(faces, labels)
            torch.testing.assert_close(found, wanted, rtol=0, atol=0.02)  # float16
    assert torch.equal(state.averaged.module(faces, half), state.generator(faces, half))


@pytest.mark.parametrize("condition", ["maps", "lookup"])
def test_a_wider_network_begins_by_drawing_what_a_narrow_one_draws(
    tmp_path, monkeypatch, condition
):
    known = Vocabulary((Part(("red", "green")),))
    recipe = replace(TOY, condition=condition)
    narrow = _stargan_state.start(recipe, known)
    for value in narrow.generator.parameters():
        torch.nn.init.normal_(value, std=0.3)
    folder = saved(narrow, recipe, tmp_path / "narrow")
    wider = replace(recipe, width=3 * TOY.width, begin=str(folder))
    faces, labels = torch.rand(2, 3, 16, 16) - 0.5, torch.eye(2)
    with torch.no_grad():
        wanted = narrow.generator(faces, labels)
        near = _begun(wider, known).generator(faces, labels)
        monkeypatch.setattr(_stargan_begin, "NOISE", 0.0)
        same = _begun(wider, known).generator(faces, labels)
    torch.testing.assert_close(same, wanted, rtol=0, atol=0.02)  # float16
    assert not torch.equal(near, same)
    assert (near - wanted).abs().mean() < 0.5 * (wanted - wanted.mean()).abs().mean()


def _begun(recipe, known):
    state = _stargan_state.start(recipe, known)
    _stargan_state.equip(state, recipe)
    return state


def test_a_coarse_network_begins_with_the_weights_of_a_fine_one(tmp_path):
    known = Vocabulary((Part(("red", "green")),))
    fine = _stargan_state.start(replace(TOY, residual=True), known)
    folder = saved(fine, replace(TOY, residual=True), tmp_path / "fine")
    coarse = _begun(replace(TOY, residual=True, coarse=2, begin=str(folder)), known)
    assert coarse.generator.shape.coarse == 2
    for key, value in fine.generator.state_dict().items():
        torch.testing.assert_close(coarse.generator.state_dict()[key], value.half().float())


def test_loud_maps_have_multiplied_first_weights():
    parts = Vocabulary((Part(("red", "green")),))
    weights = [
        _stargan_state.start(replace(TOY, loud=loud), parts).generator.main[0].weight
        for loud in (1.0, 50.0)
    ]
    torch.testing.assert_close(weights[1][:, 3:], 50 * weights[0][:, 3:])
    assert torch.equal(weights[1][:, :3], weights[0][:, :3])
    with pytest.raises(BadInput, match="set condition=maps"):
        replace(TOY, condition="lookup", loud=2.0)


def test_a_training_begins_with_a_models_weights(tmp_path):
    source = coloured(16, ["red"], 0)
    recipe = replace(TOY, begin=str(tmp_path / "first"))
    first = _stargan_state.start(replace(TOY, seed=5), Vocabulary((source.part,)))
    saved(first, TOY, tmp_path / "first")
    state = _stargan_state.start(recipe, Vocabulary((source.part,)))
    _stargan_state.equip(state, recipe)
    for network in (state.generator, state.averaged.module):
        for key, value in first.generator.state_dict().items():
            found = network.state_dict()[key]
            torch.testing.assert_close(found, value, rtol=1e-3, atol=1e-6, msg=key)  # of float16
    wrong = ({"width": 2}, {"width": 6}, {"condition": "lookup"}, {"residual": True, "coarse": 2})
    for other in (replace(recipe, **changes) for changes in wrong):
        with pytest.raises(BadInput, match="other sizes or names"):
            _stargan_state.equip(_stargan_state.start(other, Vocabulary((source.part,))), other)
    with pytest.raises(BadModel, match="not a translator"):
        _stargan_state.equip(first, replace(recipe, begin="vae-128"))
    blue = _stargan_state.start(recipe, Vocabulary((Part(("blue",)),)))
    with pytest.raises(BadInput, match="other sizes or names"):
        _stargan_state.equip(blue, recipe)


def test_the_teachers_view_is_moved_as_the_batch_says():
    recipe = replace(TOY, size=32, teacher=1.0, precision="fp32")
    state = _stargan_state.start(recipe, Vocabulary((Part(("Red",)),)))
    state.teachers = (Ruddy(),)
    ramp = torch.linspace(-1, 1, 32).expand(4, 3, 32, 32).clone()
    labels, mix = torch.ones(4, 1), torch.ones(4, 1, 1, 1)
    left = torch.tensor([[1.0, 0, 0.5], [0, 1, 0]]).expand(4, 2, 3)  # by a quarter of the picture
    found = [
        float(stargan.generator_loss(state, batch, ramp, recipe)[1]["G/teacher"])
        for batch in (Batch(ramp, labels, labels, mix, frame=f) for f in (None, left))
    ]
    assert found[0] == pytest.approx(np.log(2), abs=1e-3)  # the ramp's mean is 0: no opinion
    mean = 0.375  # of the ramp without its left quarter and with its right one mirrored
    assert found[1] == pytest.approx(np.log1p(np.exp(-mean)), abs=0.01)
    source = coloured(16, ["red"], 0)
    drawn = [stargan.draw(source, 0, 1, n, replace(recipe, size=16, jitter=0.2)) for n in (3, 3, 4)]
    assert torch.equal(drawn[0].frame, drawn[1].frame)
    assert not torch.equal(drawn[0].frame, drawn[2].frame)
    assert stargan.draw(source, 0, 1, 3, replace(recipe, size=16)).frame is None


def test_smoothness_is_the_total_variation_of_what_is_added():
    recipe = replace(TOY, size=32, smooth=3.0, precision="fp32")
    state = _stargan_state.start(recipe, Vocabulary((Part(("red",)),)))
    faces, labels, mix = torch.rand(2, 3, 32, 32) - 0.5, torch.ones(2, 1), torch.ones(2, 1, 1, 1)
    across, down = torch.arange(32) * 0.01, torch.arange(32)[:, None] * -0.02
    batch, made = Batch(faces, labels, labels, mix), faces + across + down
    alone, _ = stargan.generator_loss(state, batch, made, replace(recipe, smooth=0.0))
    loss, terms = stargan.generator_loss(state, batch, made, recipe)
    assert float(terms["G/smooth"]) == pytest.approx(0.03, rel=1e-4)
    torch.testing.assert_close(loss, alone + 3 * terms["G/smooth"])


def test_labels_count_as_much_as_they_are_weighed():
    part = Part(("a", "b"))
    logits, labels = torch.tensor([[0.3, -2.0], [1.5, 0.7]]), torch.tensor([[1.0, 0.0], [0.5, 1.0]])
    one = torch.nn.functional.softplus(torch.tensor([-0.3]))  # the other a is unknown
    other = torch.nn.functional.softplus(torch.tensor([-2.0, -0.7]))
    found = part.loss(logits, labels, torch.tensor([3.0, 0.5]))
    torch.testing.assert_close(found, (3 * one.sum() + 0.5 * other.sum()) / 2)
    torch.testing.assert_close(part.loss(logits, labels), (one.sum() + other.sum()) / 2)


def test_several_teachers_count_alike():
    recipe = replace(TOY, size=32, teacher=1.0, precision="fp32")
    state = _stargan_state.start(recipe, Vocabulary((Part(("Red",)),)))
    faces, labels = torch.rand(4, 3, 32, 32) * 2 - 1, torch.ones(4, 1)
    batch = Batch(faces, labels, labels, torch.rand(4, 1, 1, 1))
    found = []
    for teachers in ((Ruddy(),), (Ruddy(-1.0),), (Ruddy(), Ruddy(-1.0))):
        state.teachers = teachers
        found.append(stargan.generator_loss(state, batch, faces, recipe)[1]["G/teacher"])
    torch.testing.assert_close(found[2], (found[0] + found[1]) / 2)
    assert found[0] != found[1]


def test_teachers_who_do_not_teach_and_a_teaching_by_nobody_are_refused():
    with pytest.raises(BadInput, match="give teacher a weight"):
        replace(TOY, taught_by=("judge",))
    with pytest.raises(BadInput, match="taught_by names nobody"):
        replace(TOY, teacher=1.0, taught_by=())


def test_a_teacher_that_does_not_know_a_name_is_refused():
    with pytest.raises(UnknownName, match="teacher"):
        _stargan_state.equip(
            _stargan_state.start(TOY, Vocabulary((Part(("Redness",)),))), replace(TOY, teacher=1)
        )


@pytest.mark.parametrize(("names", "unknown"), [(("Male", "Redness"), "Redness"), (("Male",), "a")])
def test_a_name_that_the_teacher_does_not_know_is_told_before_photos_are_read(
    tmp_path, monkeypatch, names, unknown
):
    root = noise(tmp_path / "celeba", names, 2, 1)
    for name in "ab":
        (tmp_path / "classes" / name).mkdir(parents=True)
        (tmp_path / "classes" / name / "1.png").write_text("no photo")
    folders = () if unknown in names else (str(tmp_path / "classes"),)
    recipe = replace(TOY, attributes=names, folders=folders, teacher=1.0)
    monkeypatch.setattr(_stargan_data, "cached_crops", lambda *_: pytest.fail("photos were read"))
    with pytest.raises(
        UnknownName, match=f"unknown attribute of the teacher recogniser '{unknown}'"
    ):
        _stargan_data.read_sources(root, recipe)


def test_single_targets_change_one_name_and_hair_keeps_one_colour():
    names = ("Black_Hair", "Blond_Hair", "Male")
    labels = torch.tensor([[1.0, 0, 0], [0, 1, 1], [0, 0, 1]]).repeat(20, 1)
    faces = np.zeros((60, 16, 16, 3), np.uint8)
    source = Source(faces, np.arange(60), labels, Part(names))
    batch = stargan.draw(source, 0, 1, 3, replace(TOY, batch=60, targets="single"))
    assert (batch.targets[:, :2].sum(1) <= 1).all()
    changed = batch.targets != batch.labels
    assert not (changed[:, 2] & changed[:, :2].any(1)).any()
    assert changed[:, 2].any()
    assert (changed[:, :2].any(1)).any()
    permuted = stargan.draw(source, 0, 1, 3, replace(TOY, batch=60)).targets
    assert sorted(permuted.tolist()) == sorted(batch.labels.tolist())
    assert not torch.equal(permuted, batch.labels)


def test_rates_fall_as_announced_or_as_published():
    announced = Recipe()
    paces = [announced.pace(step) for step in (0, 99_999, 100_000, 150_000, 199_999)]
    assert paces == pytest.approx([1, 1, 1, 0.5, 1e-5])
    hardly = Recipe(decay="published")
    rates = [1e-4]  # the published solver's own bookkeeping
    for turn in range(200_000):
        left = (turn + 1) % 1000 == 0 and turn + 1 > 100_000
        rates.append(rates[-1] - 1e-4 / 100_000 if left else rates[-1])
    for step in (0, 100_000, 100_999, 101_000, 150_000, 199_999):
        assert 1e-4 * hardly.pace(step) == pytest.approx(rates[step], rel=1e-9)
    assert Recipe(decay="none").pace(199_999) == 1


def test_folders_are_classes(tmp_path):
    for name, colour in (("happy", (255, 0, 0)), ("angry", (0, 0, 255))):
        (tmp_path / name).mkdir()
        Image.new("RGB", (40, 30), colour).save(tmp_path / name / "1.png")
    source = read_classes(tmp_path, 16)
    assert source.part == Part(("angry", "happy"), "classes")
    assert source.labels.tolist() == [[1, 0], [0, 1]]
    assert source.faces.shape == (2, 16, 16, 3)
    assert source.faces[1, 0, 0].tolist() == [255, 0, 0]
    with pytest.raises(BadInput, match="one folder a class"):
        read_classes(tmp_path / "happy", 16)


def test_recipes_that_cannot_be_are_refused():
    with pytest.raises(UnknownName, match="did you mean wgan-gp"):
        Recipe(loss="wgan")
    with pytest.raises(UnknownName, match="did you mean permuted"):
        Recipe(targets="permute")
    with pytest.raises(BadInput, match="multiple of 64 px, not 100"):
        Recipe(size=100)
    with pytest.raises(BadInput, match="1 or more"):
        Recipe(n_critic=0)
    with pytest.raises(BadInput, match="lessons=5 need a guide"):
        Recipe(lessons=5)
