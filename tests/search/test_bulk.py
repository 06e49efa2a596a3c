"""A gallery built by one process, by several, and by Ray has the same bytes."""

import signal
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import BadGallery, BadInput, MissingExtra, SpaceMismatch
from mien.files import write_bytes
from mien.search import _part_ray
from mien.search._encode import Photo
from mien.search._part_pool import encode_in_processes
from mien.search._parts import Recipe, encode_part, make_part
from mien.search.build import build_gallery
from mien.search.bulk import Models, build_in_bulk, in_processes, on_ray
from mien.search.gallery import Gallery
from mien.types import Attributes
from tests.cli.conftest import vae
from tests.search.bulk_writer import Opener, options
from tests.search.test_build import broken, photos
from tests.search.toys import MARK, ToySpace, entries

ROOT = Path(__file__).parents[2]  # from where tests.* are found


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Models:
    folder = tmp_path_factory.mktemp("models") / "toy"
    vae(folder, seed=0)
    return Models(str(folder))


@pytest.fixture
def given(tmp_path):
    """Fifty paths, five of which are no photos, and options by which they are four shards."""
    paths = sorted(photos(tmp_path / "p", 45) + broken(tmp_path / "p"))
    table = np.random.default_rng(0).integers(-1, 2, (50, 2)).astype(np.int8)
    return paths, options(tmp_path / "p", attributes=Attributes(("Young", "Red"), table))


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def in_turn(parts, place):
    """A runner in this process, which ends parts from the last to the first."""
    for part in reversed(parts):
        write_bytes(place / part.name, encode_part(part, cores=1))
        yield part


def ended(parts, place):
    """The same, interrupted after the second part."""
    for number, part in enumerate(in_turn(parts, place)):
        if number == 2:
            raise KeyboardInterrupt
        yield part


def noting(runner, seen):
    """The runner, noting how many parts it is asked for."""

    def run(parts, place):
        seen.append(len(parts))
        yield from runner(parts, place)

    return run


def test_two_processes_write_the_bytes_of_one(tmp_path, given, models):
    paths, how = given
    steps = []
    one = build_gallery(tmp_path / "one", paths, models()[0], how)
    two = build_in_bulk(
        tmp_path / "two", paths, models, in_processes(2), how, lambda *step: steps.append(step)
    )
    assert two == one
    assert (one.added, len(one.failures)) == (45, 5)
    assert (steps[0], steps[-1]) == ((0, 50), (50, 50))
    assert sorted(b - a for (a, _), (b, _) in pairwise(steps)) == [5, 15, 15, 15]
    assert files(tmp_path / "two") == files(tmp_path / "one")
    assert len(Gallery.open(tmp_path / "two")) == 45


def test_ray_stopped_and_started_again_writes_the_bytes_of_one(tmp_path, given, models):
    pytest.importorskip("ray")
    paths, how = given
    one = build_gallery(tmp_path / "one", paths, models()[0], how)

    def end(done, total):
        if done:
            raise KeyboardInterrupt

    on, seen = on_ray("local"), []
    with _part_ray.joined("local"):  # for both
        with pytest.raises(KeyboardInterrupt):
            build_in_bulk(tmp_path / "ray", paths, models, on, how, end)
        report = build_in_bulk(tmp_path / "ray", paths, models, noting(on, seen), how)
    assert seen == [3]
    assert report.failures[-1:] == one.failures[-1:]
    assert files(tmp_path / "ray") == files(tmp_path / "one")


def test_what_was_finished_is_not_encoded_again(tmp_path, given):
    paths, how = given
    one = build_gallery(tmp_path / "one", paths, ToySpace(), how)
    with pytest.raises(KeyboardInterrupt):
        build_in_bulk(tmp_path / "g", paths, Opener(), ended, how)
    kept = files(tmp_path / "g" / "parts")
    assert (len(kept), len(Gallery.open(tmp_path / "g"))) == (3, 0)  # the last three
    seen = []
    assert build_in_bulk(tmp_path / "g", paths, Opener(), noting(in_turn, seen), how) == one
    assert seen == [1]
    assert files(tmp_path / "g") == files(tmp_path / "one")
    again = build_in_bulk(tmp_path / "g", paths, Opener(), in_turn, how)
    assert (again.added, again.skipped, again.failures) == (0, 45, one.failures)
    assert files(tmp_path / "g") == files(tmp_path / "one")


@pytest.mark.parametrize("change", ["attributes", "photos", "aligned"])
def test_what_was_finished_of_another_build_is_not_taken(tmp_path, given, change):
    paths, how = given
    with pytest.raises(KeyboardInterrupt):
        build_in_bulk(tmp_path / "g", paths, Opener(), ended, how)
    if change == "attributes":
        known = Attributes(how.attributes.names, -how.attributes.table)
        how = replace(how, attributes=known)
    elif change == "photos":
        how = replace(how, attributes=how.attributes.rows(np.arange(1, 50)))
        paths = paths[1:]
    else:
        how = replace(how, number=2)
    build_gallery(tmp_path / "one", paths, ToySpace(), how)
    build_in_bulk(tmp_path / "g", paths, Opener(), in_turn, how)
    assert files(tmp_path / "g") == files(tmp_path / "one")


def test_other_writers_delete_what_a_build_left(tmp_path, given):
    paths, how = given
    with pytest.raises(KeyboardInterrupt):
        build_in_bulk(tmp_path / "g", paths, Opener(), ended, how)
    (tmp_path / "g" / "parts" / ".part-of-a-dead-writer").touch()
    Gallery.open(tmp_path / "g").add(entries(["a"], np.zeros((1, 48), np.float32)))
    assert not (tmp_path / "g" / "parts").exists()


def test_a_damaged_part_is_named(tmp_path, given):
    paths, how = given
    with pytest.raises(KeyboardInterrupt):
        build_in_bulk(tmp_path / "g", paths, Opener(), ended, how)
    for path in (tmp_path / "g" / "parts").iterdir():
        path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(BadGallery, match=r"part-\w+.npz is damaged; delete it"):
        build_in_bulk(tmp_path / "g", paths, Opener(), in_turn, how)


def white(root: Path) -> list[Path]:
    """Photos of one colour each, the twentieth, of the second shard, white."""
    paths = [path for path in photos(root, 60) if path.parent == root]
    Image.new("RGB", (24, 24), (255, 255, 255)).save(paths[19])
    return paths


def test_a_worker_that_dies_costs_its_shard_and_is_one_sentence(tmp_path):
    paths, how = white(tmp_path / "p"), options(tmp_path / "p")
    build_gallery(tmp_path / "one", paths, ToySpace(), how)
    with pytest.raises(BadInput, match=r"a process that encodes photos died.*are kept"):
        build_in_bulk(tmp_path / "g", paths, Opener("die"), in_processes(1), how)
    assert len(Gallery.open(tmp_path / "g")) == 15
    seen = []
    build_in_bulk(tmp_path / "g", paths, Opener(), noting(in_turn, seen), how)
    assert seen == [2]
    assert files(tmp_path / "g") == files(tmp_path / "one")


@pytest.mark.parametrize(
    ("how", "by"),
    [("bulk", signal.SIGINT), ("bulk", signal.SIGKILL), ("decode", signal.SIGKILL)],
)
def test_an_ended_build_leaves_no_process(tmp_path, how, by):
    white(tmp_path / "p")
    command = [
        sys.executable,
        "-m",
        "tests.search.bulk_writer",
        how,
        tmp_path / "p",
        tmp_path / "g",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        try:
            while process.stdout.readline() not in (b"15\n", b"25\n"):  # now it is stuck
                assert process.poll() is None
            process.send_signal(by)
            process.communicate(timeout=60)  # workers, too, hold the other end of its output
        finally:
            process.kill()
    assert process.returncode != 0
    assert len(Gallery.open(tmp_path / "g")) in (0, 15)


def recipe(opener, **changes) -> Recipe:
    return replace(Recipe(opener, MARK, True, 1, "fp32", "torch"), **changes)


def test_models_that_a_worker_cannot_open_or_that_are_others_are_one_sentence(tmp_path):
    batches = [[Photo("a", tmp_path / "a.png", 0)]]
    part = make_part(recipe(Models("vae-129")), batches, None)
    with pytest.raises(BadInput, match="unknown model 'vae-129'; did you mean vae-128"):
        next(encode_in_processes([part], tmp_path, 1))
    with pytest.raises(SpaceMismatch, match=r"toy@1.*other@2.*same models"):
        encode_part(make_part(recipe(Opener(), mark="other@2"), batches, None), 1)


def test_a_node_that_does_not_see_the_photos_says_so(tmp_path):
    part = make_part(recipe(Opener()), [[Photo("a", tmp_path / "a.png", 0)]], None)
    row = {"number": 3, "part": part, "seen": str(tmp_path / "a.png")}
    answer = _part_ray._encode(row)
    assert (answer["number"], answer["file"]) == (3, b"")
    assert (
        "a.png cannot be seen; put the photos on a disk that every node sees" in answer["failure"]
    )
    gone_here_too = _part_ray._encode(row | {"seen": ""})
    assert gone_here_too["failure"] == ""  # the file lists the photo


def test_what_cannot_run_is_refused(monkeypatch):
    with pytest.raises(BadInput, match="1 or more"):
        in_processes(0)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'mien\[ray\]'"):
        on_ray("local")


@pytest.mark.parametrize(("late", "why", "tries"), [(2, "timed out", 3), (9, "no disk", 1)])
def test_ray_that_starts_too_slowly_is_started_again(monkeypatch, late, why, tries):
    ray, tried = pytest.importorskip("ray"), []

    def init(address, **how):
        tried.append(address)
        if len(tried) <= late:
            raise Exception(f"The current node {why} during startup")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", list)
    ended = nullcontext() if late < tries else pytest.raises(BadInput, match=rf"no Ray .*{why}")
    with ended, _part_ray.joined("local"):
        pass
    assert tried == ["local"] * tries


def test_a_cluster_that_is_not_there_is_refused_at_once():
    pytest.importorskip("ray")
    refusal = pytest.raises(BadInput, match=r"no Ray at 127.0.0.1:1 .*refused")
    with refusal, _part_ray.joined("127.0.0.1:1"):
        pass
