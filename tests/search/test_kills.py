"""Killed at random moments, a gallery opens and holds what was acknowledged, each face whole.

MIEN_KILLS says how often (default 24, four of each kind of write).
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mien.search.gallery import Gallery
from tests.search.kill_writer import BASIS, GONE, NEW, OLD, PHOTOS, faces
from tests.search.toys import picture

ROOT = Path(__file__).parents[2]  # from where tests.* are found
KILLS = int(os.environ.get("MIEN_KILLS", "24"))
BUILT = [f"{number:02d}.png" for number in range(PHOTOS)]
OTHER = {"manifest.json", ".lock", "index.json"}


@pytest.fixture(scope="module")
def kills(tmp_path_factory) -> tuple[Path, list[list[str]]]:
    folder = tmp_path_factory.mktemp("kills")
    command = [sys.executable, "-m", "tests.search.kill_writer", str(folder), str(KILLS)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr
    return folder, [line.split() for line in run.stdout.splitlines()]


def states(name: str, acknowledged: int) -> list[list[str]]:
    """Ids that may be there: those of what was acknowledged, and of one commit more."""
    if name == "add":
        return [OLD + NEW[: 10 * n] for n in (acknowledged, acknowledged + 1)]
    if name == "remove":
        gone = [GONE[: 2 * n] for n in (acknowledged, acknowledged + 1)]
        return [[i for i in OLD if i not in some] for some in gone]
    if name == "forget":
        after = [i for i in OLD if i not in GONE]
        return [after] if acknowledged else [OLD, after]
    if name == "compress":
        return [OLD]
    if name == "build":  # told twice a shard, after the second batch
        return [OLD + BUILT[: 8 * n] for n in (acknowledged // 2, acknowledged // 2 + 1)]
    # told at first, after two shards, and after the third, when all of them have been added
    counts = {3: range(4), 4: [3]}.get(acknowledged, [0])
    return [OLD + BUILT[: 8 * n] for n in counts]


def whole(opened: Gallery, truth: Gallery) -> None:
    """Every part of each face is there and is what was encoded."""
    rows = [truth.places[name] for name in opened.ids]
    assert np.isfinite(opened.latent.values).all()
    np.testing.assert_array_equal(opened.latent.values, truth.latent.values[rows])
    assert opened.thumbnails(opened.ids) == truth.thumbnails(opened.ids)
    assert [Path(path).name for path in opened.paths] == [Path(name).name for name in opened.ids]


def test_a_gallery_killed_at_random_moments_holds_what_was_acknowledged(kills):
    folder, lines = kills
    truth = Gallery.open(folder / "build-0")
    truth.add(faces(NEW))
    assert truth.ids == (*OLD, *BUILT, *NEW)
    died = 0
    for number, name, acknowledged, killed in lines:
        opened = Gallery.open(folder / number)
        assert list(opened.ids) in states(name, int(acknowledged)), (number, name, acknowledged)
        whole(opened, truth)
        opened.bounds(BASIS)  # codes are read, or made anew where they are missing
        before = opened.ids
        opened.add(faces(["next"]))  # the lock is free, and what was left over is swept
        again = Gallery.open(folder / number)
        assert again.ids == (*before, "next")
        assert again.thumbnail("next") == picture("next")
        left = {path.name for path in again.folder.iterdir()} - OTHER
        assert left - {name for name in left if name.startswith("codes-")} == {
            shard.path.name for shard in again.shards
        }
        died += int(killed)
    print(f"{died} of {len(lines)} were killed, the others had ended")
    assert len(lines) == KILLS
    assert died > KILLS / 4  # the delays were such that writes were hit
