from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.directions import _descent, orthogonal_basis
from mien.directions._polar import tangent
from mien.directions.orthogonal_basis import Options, csv_log, fit_basis, nearest_orthogonal
from mien.errors import BadInput, UnknownName
from tests.directions.toys import correlated, labelled
from tests.parity import fill

PUBLISHED = Options(
    initialise="xavier", l1=0.005, learning_rate=0.01, legacy_bias=True, centre=False
)


@pytest.fixture(scope="module")
def published():
    return fill.load(Path(__file__).parents[1] / "parity" / "attribute_retrieval")


def problem(seed=0, count=120, size=8, attributes=3):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(count, size))
    truth = np.linalg.qr(generator.normal(size=(size, attributes)))[0]
    labels = np.where(values @ truth + 0.3 * generator.normal(size=(count, attributes)) > 0, 1, -1)
    return values, labels, truth


@pytest.mark.parametrize("number", [0, 1])
def test_algorithm_1_is_the_published_one(published, number):
    found = nearest_orthogonal(published.input(f"matrix_{number}"))
    worst, good = published.check(f"orth_{number}", found)
    assert good, worst


def test_training_is_the_published_one(published):
    settings_ = published.manifest["config"]
    options = replace(
        PUBLISHED, epochs=settings_["epochs"], learning_rate=settings_["lr"], l1=settings_["reg"]
    )
    fitted = fit_basis(
        published.input("train_w"), 2 * published.input("train_y") - 1,
        (published.input("val_w"), 2 * published.input("val_y") - 1),
        options, published.input("init_f"),
    )  # fmt: skip
    losses = np.array([[row["train"], row["validation"]] for row in fitted.history])
    for name, got in (
        ("training_losses", losses), ("training_fset", fitted.vectors),
        ("training_bset", fitted.bias),
    ):  # fmt: skip
        worst, good = published.check(name, got)
        assert good, (name, worst)


@given(st.integers(1, 6), st.integers(0, 10), st.integers(0, 10_000))
def test_algorithm_1_is_the_polar_factor_with_the_old_lengths(columns, extra, seed):
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(columns + extra, columns)) * generator.uniform(0.1, 9, columns)
    lengths = np.linalg.norm(vectors, axis=0)
    if np.linalg.cond(vectors / lengths) > 1e5:
        return
    found = nearest_orthogonal(vectors)
    np.testing.assert_allclose(found, scipy.linalg.polar(vectors / lengths)[0] * lengths, atol=1e-9)
    np.testing.assert_allclose(found.T @ found, np.diag(lengths**2), atol=1e-9 * lengths.max() ** 2)


def test_no_other_orthonormal_set_is_nearer():
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(7, 4))
    vectors /= np.linalg.norm(vectors, axis=0)
    found = nearest_orthogonal(vectors)
    others = [np.linalg.qr(found + 0.1 * generator.normal(size=(7, 4))) for _ in range(50)]
    distances = [np.linalg.norm(q * np.sign(np.diag(r)) - vectors) for q, r in others]
    assert np.linalg.norm(found - vectors) < min(distances)


def test_dependent_columns_are_named():
    first, second = np.eye(5)[:, 0], np.eye(5)[:, 1]
    pair = np.stack([second, first, 2 * first + 1e-9 * second], axis=1)
    with pytest.raises(BadInput, match=r"(Male and No_Beard|No_Beard and Male) depend"):
        nearest_orthogonal(pair, ("Young", "Male", "No_Beard"))
    with pytest.raises(BadInput, match="column 1 has length 0"):
        nearest_orthogonal(np.stack([first, 0 * first], axis=1))
    with pytest.raises(BadInput, match="3 directions cannot be orthogonal in 2"):
        nearest_orthogonal(np.ones((2, 3)))
    with pytest.raises(BadInput, match="NaN"):
        nearest_orthogonal(np.full((3, 1), np.nan))


def naive_epoch(vectors, bias, values, labels, options):
    """Algorithm 2's loop over the attributes, autograd doing the derivatives."""
    F, b = torch.tensor(vectors), torch.tensor(bias)
    loss, proximal = 0.0, options.l1_step == "proximal"
    for m in range(F.shape[1]):
        f, c = F[:, m].clone().requires_grad_(), b[m].clone().requires_grad_()
        known = torch.tensor(labels[:, m] != 0)
        y = torch.tensor(labels[:, m], dtype=torch.float64)[known]
        hinge = torch.clamp(1 - y * (torch.tensor(values)[known] @ f + c), min=0)
        cost = hinge.sum() if options.loss == "sum" else hinge.mean()
        penalty = options.l1 * f.abs().sum()
        (cost if proximal else cost + penalty).backward()
        loss += float((cost + penalty).detach())
        with torch.no_grad():
            moved = f - options.learning_rate * f.grad
            step = options.learning_rate * options.l1
            F[:, m] = torch.nn.functional.softshrink(moved, step) if proximal else moved
            b[m] -= options.learning_rate * c.grad
    lengths = F.norm(dim=0)
    return (torch.tensor(scipy.linalg.polar(F / lengths)[0]) * lengths).numpy(), b.numpy(), loss


@pytest.mark.parametrize("loss", ["mean", "sum"])
@pytest.mark.parametrize("l1_step", ["subgradient", "proximal"])
def test_epochs_are_the_naive_loop_with_unknown_labels(loss, l1_step):
    values, labels, _ = problem()
    labels = labels * (np.random.default_rng(5).random(labels.shape) < 0.8)
    options = Options(
        loss=loss, l1=0.3, l1_step=l1_step, learning_rate=0.004, epochs=4, legacy_bias=True,
        centre=False,
    )  # fmt: skip
    start = np.random.default_rng(2).normal(0, 0.3, (8, 3))
    fitted = fit_basis(values, labels, None, options, start)
    vectors, bias, losses, scores = start, np.zeros(3), [], []
    for _ in range(4):
        vectors, bias, cost = naive_epoch(vectors, bias, values, labels, options)
        losses.append(cost)
        hinge = np.maximum(1 - labels * (values @ vectors + bias), 0) * (labels != 0)
        scores.append(sum(hinge[:, m].sum() / (labels[:, m] != 0).sum() for m in range(3)))
    np.testing.assert_allclose([row["train"] for row in fitted.history], losses, rtol=1e-9)
    np.testing.assert_allclose([row["validation"] for row in fitted.history], scores, rtol=1e-9)
    assert fitted.best_epoch == int(np.argmin(scores)) + 1
    if fitted.best_epoch == 4:
        np.testing.assert_allclose(fitted.vectors, vectors / np.linalg.norm(vectors, axis=0))
        np.testing.assert_allclose(fitted.bias, bias)


@given(st.integers(0, 50), st.sampled_from([None, 7, 32]))
@settings(max_examples=10, deadline=None)
def test_the_basis_is_orthonormal_and_the_rescaled_bias_keeps_every_sign(seed, batch):
    values, labels, _ = problem(seed)
    options = Options(epochs=5, batch=batch, initialise="normal", normal_scale=0.7, seed=seed)
    ours = fit_basis(values, labels, None, options)
    legacy = fit_basis(values, labels, None, replace(options, legacy_bias=True))
    np.testing.assert_allclose(ours.vectors.T @ ours.vectors, np.eye(3), atol=1e-12)
    np.testing.assert_array_equal(ours.vectors, legacy.vectors)
    lengths = legacy.bias / ours.bias
    assert (lengths > 0).all()
    best = ours.history[ours.best_epoch - 1]["validation"]
    raw = values @ (legacy.vectors * lengths) + legacy.bias  # scores before normalising
    np.testing.assert_allclose(np.maximum(1 - labels * raw, 0).sum(1).mean(), best, rtol=1e-9)
    np.testing.assert_array_equal(np.sign(values @ ours.vectors + ours.bias), np.sign(raw))


@pytest.mark.parametrize("optimiser", ["gradient", "adam", "SGD", "AdamW", "RMSprop", "NAdam"])
@pytest.mark.parametrize("initialise", ["mean_difference", "xavier", "normal"])
def test_finds_the_directions_that_made_the_labels(optimiser, initialise):
    values, labels, truth = problem(count=600)
    options = Options(
        initialise=initialise, optimiser=optimiser, epochs=150, l1=0.001,
        learning_rate=0.3 if optimiser in ("gradient", "SGD") else 0.03,
    )  # fmt: skip
    fitted = fit_basis(values, labels, None, options)
    assert np.diag(truth.T @ fitted.vectors).min() > 0.97


def test_plain_descent_by_torch_is_ours():
    values, labels, _ = problem()
    options = Options(epochs=20, learning_rate=0.05)
    ours = fit_basis(values, labels, None, options)
    theirs = fit_basis(values, labels, None, replace(options, optimiser="sgd"))
    np.testing.assert_allclose(ours.vectors, theirs.vectors, atol=1e-10)
    np.testing.assert_allclose(ours.bias, theirs.bias, atol=1e-10)


@pytest.mark.parametrize("optimiser", ["gradient", "adam"])
def test_shifted_and_scaled_latents_give_the_same_basis(optimiser):
    values, labels, _ = problem()
    held, known, _ = problem(seed=3)
    shift = np.random.default_rng(4).normal(0, 40, values.shape[1])
    options = Options(epochs=20, optimiser=optimiser, learning_rate=0.02, l1=0.001)
    near = fit_basis(values, labels, (held, known), options)
    far = fit_basis(7 * values + shift, labels, (7 * held + shift, known), options)
    np.testing.assert_allclose(far.vectors, near.vectors, atol=1e-8)
    # the same score from w' = 7 w + t: f . w + b = (f . w' + 7 b - f . t) / 7
    np.testing.assert_allclose(far.bias, 7 * near.bias - shift @ near.vectors, atol=1e-6)
    for ours, theirs in zip(near.history, far.history, strict=True):
        np.testing.assert_allclose(list(theirs.values()), list(ours.values()), rtol=1e-8)


def test_centred_latents_of_unit_deviation_stay_as_they_are():
    values, labels, _ = problem()
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    start = np.random.default_rng(2).normal(0, 0.3, (8, 3))
    on, off = (Options(epochs=5, centre=centre) for centre in (True, False))
    ours, theirs = (fit_basis(values, labels, None, options, start) for options in (on, off))
    np.testing.assert_allclose(ours.vectors, theirs.vectors, atol=1e-12)
    np.testing.assert_allclose(ours.bias, theirs.bias, atol=1e-12)


def test_a_given_start_is_for_the_latents_as_they_are_and_splits_them_at_their_mean():
    values, labels, _ = problem()
    values = 5 * values + 30
    start = nearest_orthogonal(np.random.default_rng(1).normal(size=(8, 3)))
    fitted = fit_basis(values, labels, None, Options(epochs=1, learning_rate=1e-12, l1=0), start)
    scores = (values - values.mean(axis=0)) @ start
    want = np.maximum(1 - labels * scores, 0).mean(axis=0).sum()
    np.testing.assert_allclose(fitted.history[0]["train"], want, rtol=1e-9)
    np.testing.assert_allclose(fitted.bias * np.linalg.norm(start, axis=0),
                               -values.mean(axis=0) @ start, rtol=1e-6)  # fmt: skip


def orthogonal(generator, size=7, columns=4):
    """Orthogonal columns of different lengths."""
    lengths = generator.uniform(0.2, 5, columns)
    return nearest_orthogonal(generator.normal(size=(size, columns))) * lengths


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_tangent_part_keeps_right_angles_and_the_rest_is_orthogonal_to_it(seed):
    generator = np.random.default_rng(seed)
    vectors, slope = orthogonal(generator), generator.normal(size=(7, 4))
    part = tangent(vectors, slope)
    turning = vectors.T @ part  # d (F^T F) = F^T dF + dF^T F stays diagonal
    turning = turning + turning.T
    np.testing.assert_allclose(turning, np.diag(np.diag(turning)), atol=1e-10)
    np.testing.assert_allclose(tangent(vectors, part), part, atol=1e-10)
    skew = np.triu(generator.normal(size=(7, 7)), 1)
    other = (skew - skew.T) @ vectors + vectors * generator.normal(size=4)  # any tangent vector
    np.testing.assert_allclose(np.sum((slope - part) * other), 0, atol=1e-8)


def test_at_equal_lengths_the_tangent_part_is_that_of_stiefel_and_the_lengths():
    generator = np.random.default_rng(3)
    unit, slope = nearest_orthogonal(generator.normal(size=(7, 4))), generator.normal(size=(7, 4))
    unit /= np.linalg.norm(unit, axis=0)
    inner = unit.T @ slope
    stiefel = slope - unit @ (inner + inner.T) / 2  # Edelman et al., 1998, eq. 2.4
    want = stiefel + unit * np.diag(inner)
    np.testing.assert_allclose(tangent(unit, slope), want, atol=1e-12)


@pytest.mark.parametrize("optimiser", ["gradient", "adam"])
def test_riemannian_steps_start_and_stay_orthogonal_and_lower_the_loss(optimiser):
    values, labels, truth = problem(count=600)
    options = Options(
        orthogonalise="riemannian", optimiser=optimiser, epochs=150, l1=0,
        learning_rate=0.3 if optimiser == "gradient" else 0.03,
    )  # fmt: skip
    fitted = fit_basis(values, labels, None, options)
    assert np.diag(truth.T @ fitted.vectors).min() > 0.97
    np.testing.assert_allclose(fitted.vectors.T @ fitted.vectors, np.eye(3), atol=1e-12)
    first = fitted.history[0]  # train before the step, validation after it, of the same faces
    still = replace(options, epochs=1, learning_rate=1e-12)
    np.testing.assert_allclose(
        fit_basis(values, labels, None, still).history[0]["validation"], first["train"], rtol=1e-9
    )
    assert fitted.history[-1]["validation"] < first["train"]


def test_stops_when_the_validation_loss_has_not_improved_for_the_patience():
    values, labels, _ = problem(count=40)
    held = problem(seed=0, count=200)
    options = Options(epochs=5000, patience=30, learning_rate=0.3, l1=0)
    fitted = fit_basis(values, labels, (held[0], held[1]), options)
    scores = [row["validation"] for row in fitted.history]
    assert len(scores) < 5000
    assert fitted.best_epoch == int(np.argmin(scores)) + 1
    assert len(scores) == fitted.best_epoch + 30


def test_a_batch_of_all_faces_is_the_full_batch_and_small_ones_see_every_face():
    values, labels, _ = problem()
    options = Options(epochs=3)
    whole = fit_basis(values, labels, None, options)
    same = fit_basis(values, labels, None, replace(options, batch=120))
    np.testing.assert_array_equal(whole.vectors, same.vectors)
    still = replace(options, batch=50, learning_rate=1e-12, l1=0, epochs=1)
    start = nearest_orthogonal(np.random.default_rng(1).normal(size=(8, 3)))
    row = fit_basis(values, labels, None, still, start).history[0]
    np.testing.assert_allclose(row["train"], row["validation"], rtol=1e-6)  # F hardly moves
    summed = fit_basis(values, labels, None, replace(still, loss="sum"), start).history[0]
    np.testing.assert_allclose(summed["train"], 120 * row["validation"], rtol=1e-6)


def test_single_precision_products_change_little():
    values, labels, _ = problem()
    double = fit_basis(values, labels, None, Options(epochs=30))
    single = fit_basis(values, labels, None, Options(epochs=30, precision="float32"))
    np.testing.assert_allclose(single.vectors, double.vectors, atol=1e-4)


def test_products_of_bfloat16_give_nearly_the_same_losses():
    values, labels, _ = problem()
    kinds = ("float64", "bfloat16")
    double, half = (
        fit_basis(values, labels, None, Options(epochs=30, precision=kind)).history
        for kind in kinds
    )
    losses = [[row["train"] for row in history] for history in (double, half)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-3)
    assert losses[1] != losses[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_is_the_one_that_torch_derives(dtype):
    values, labels, _ = problem()
    rounded = torch.from_numpy(values).to(dtype)
    vectors = np.random.default_rng(3).normal(size=(values.shape[1], labels.shape[1]))
    bias, weight = np.full((1, labels.shape[1]), 0.1), _descent.per_face(labels)
    found = _descent.hinge_gradient(vectors, bias, rounded, labels.astype(float), weight)
    f, b = (torch.from_numpy(array).requires_grad_() for array in (vectors, bias))
    y = torch.from_numpy(labels.astype(float))
    losses = torch.relu(1 - y * (rounded.double() @ f + b)) * (y != 0) * torch.from_numpy(weight)
    slopes = torch.autograd.grad(losses.sum(), (f, b))
    near = 1e-4 if dtype is torch.float32 else 1e-2
    assert found[0] == pytest.approx(float(losses.detach().sum()), rel=near)
    for got, wanted in zip(found[1:], slopes, strict=True):
        assert np.linalg.norm(got - wanted.numpy()) < near * float(wanted.norm())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pulls_of_changed_faces_alone_add_up_to_all(dtype, monkeypatch):
    """Over many epochs, some in which most faces change and some in which none does."""
    values, labels, _ = problem()
    latents = torch.from_numpy(values).to(dtype)
    random = np.random.default_rng(0)
    pull = random.integers(-1, 2, labels.shape)
    kept, fetched = _descent.Pulled(), []
    products = _descent._products
    monkeypatch.setattr(
        _descent, "_products", lambda *given: fetched.append(len(given[2])) or products(*given)
    )
    monkeypatch.setattr(_descent, "AFRESH", 99)
    for epoch in range(150):
        changed = random.permutation(len(pull))[: (3, 100, 0)[epoch % 3]]
        pull[changed] = (pull[changed] + 2) % 3 - 1  # every one to another
        found = kept.add(latents, pull.astype(np.int8))
        near = 1e-12 if dtype is torch.float64 else 1e-5
        wanted = pull.T @ latents.double().numpy()
        assert np.linalg.norm(found - wanted) <= near * np.linalg.norm(wanted)
    assert fetched.count(len(pull)) == 52  # the first, every third, and afresh after 99
    assert fetched.count(3) == 48  # and where nothing changed nothing is fetched
    assert len(fetched) == 100


def test_a_basis_is_that_of_pulling_all_faces_every_epoch(monkeypatch):
    values, labels, _ = problem()
    options = Options(epochs=120, optimiser="Adam", learning_rate=0.02)
    changed = fit_basis(values, labels, None, options)
    monkeypatch.setattr(_descent, "AFRESH", 1)
    afresh = fit_basis(values, labels, None, options)
    np.testing.assert_allclose(changed.vectors, afresh.vectors, atol=1e-9)
    losses = [[row["train"] for row in fitted.history] for fitted in (changed, afresh)]
    np.testing.assert_allclose(*losses, rtol=1e-10)


def test_the_seed_decides():
    values, labels, _ = problem()
    options = Options(initialise="xavier", epochs=2, batch=16)
    first, again = (fit_basis(values, labels, None, options) for _ in range(2))
    other = fit_basis(values, labels, None, replace(options, seed=1))
    np.testing.assert_array_equal(first.vectors, again.vectors)
    assert not np.allclose(first.vectors, other.vectors)


def test_every_epoch_is_reported_and_can_be_kept_as_csv(tmp_path):
    values, labels, _ = problem()
    rows, path = [], tmp_path / "log.csv"
    fitted = fit_basis(values, labels, None, Options(epochs=4), report=rows.append)
    fit_basis(values, labels, None, Options(epochs=4), report=csv_log(path))
    assert rows == list(fitted.history)
    table = np.genfromtxt(path, delimiter=",", names=True)
    np.testing.assert_allclose(table["validation"], [row["validation"] for row in rows], rtol=1e-8)


def test_find_gives_a_basis_of_the_kept_attributes():
    data = correlated()
    table = np.concatenate([data.attributes.table, np.ones((3000, 1))], axis=1)
    options = Options(epochs=40, learning_rate=0.1, skip_rare=True)
    found = orthogonal_basis.find(labelled(data.latent.values, table), options)
    assert found.names == ("A", "B")
    assert found.orthonormal
    assert found.provenance["method"] == "orthogonal_basis"
    assert 1 <= found.provenance["best_epoch"] <= found.provenance["epochs"] <= 40
    scores = data.latent.values @ found.vectors + found.bias
    assert (np.sign(scores) == data.attributes.table).mean() > 0.9


def test_find_uses_the_validation_faces_it_is_given():
    data, held = correlated(), correlated(seed=9)
    options = Options(epochs=10)
    rows = []
    orthogonal_basis.find(data, options, held, report=rows.append)
    values, labels = data.latent.values, data.attributes.table
    want = fit_basis(values, labels, (held.latent.values, held.attributes.table), options)
    assert rows == list(want.history)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"optimiser": "adman"}, UnknownName, "did you mean adam"),
        ({"optimiser": "lbfgs"}, UnknownName, "unknown optimiser"),
        ({"optimiser": "adam", "optimiser_options": {"speed": 3}}, BadInput, "refuses"),
        ({"learning_rate": 1e300}, BadInput, "diverged in epoch"),
        ({"l1": 1e4, "l1_step": "proximal"}, BadInput, "lower l1"),
    ],
)
def test_what_cannot_be_trained(options, error, words):
    values, labels, _ = problem()
    with pytest.raises(error, match=words), np.errstate(all="ignore"):
        fit_basis(values, labels, None, Options(**options))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"loss": "median"}, UnknownName),
        ({"orthogonalise": "never"}, UnknownName),
        ({"initialise": "zero"}, UnknownName),
        ({"l1": -1}, BadInput),
        ({"learning_rate": 0}, BadInput),
        ({"epochs": 0}, BadInput),
        ({"validation": 1}, BadInput),
        ({"batch": 0}, BadInput),
    ],
)
def test_options_out_of_range(options, error):
    with pytest.raises(error):
        Options(**options)


def test_arrays_that_do_not_fit():
    values, labels, _ = problem()
    with pytest.raises(BadInput, match="labels has shape"):
        fit_basis(values, labels[:5])
    with pytest.raises(BadInput, match="labels must be"):
        fit_basis(values, labels * 2)
    with pytest.raises(BadInput, match="initial basis"):
        fit_basis(values, labels, init=np.ones((2, 3)))
    with pytest.raises(BadInput, match="attribute 1"):
        fit_basis(values, np.where([False, True, False], 1, labels))
    with pytest.raises(BadInput, match="no faces"):
        fit_basis(values[:0], labels[:0])
