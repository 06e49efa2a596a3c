import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mien.search.gallery import Gallery
from tests.search.crash_writer import STATES, faces
from tests.search.toys import picture

ROOT = Path(__file__).parents[2]  # from where tests.* are found


def writer(*arguments):
    return [sys.executable, "-m", "tests.search.crash_writer", *map(str, arguments)]


def state(opened: Gallery) -> dict[str, float]:
    """id -> number, after checking that every part of each face is there."""
    values = opened.latent.values
    assert (values == values[:, :1]).all()
    assert opened.thumbnails(opened.ids) == [picture(name) for name in opened.ids]
    assert opened.paths == tuple(f"/photos/{name}" for name in opened.ids)
    return dict(zip(opened.ids, values[:, 0].tolist(), strict=True))


def test_killed_at_any_file_operation_it_holds_what_was_acknowledged(tmp_path):
    command = writer("points", tmp_path)
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    deaths = [tuple(map(int, line.split())) for line in run.stdout.splitlines()]
    assert len(deaths) > 20
    assert {acknowledged for _, acknowledged in deaths} == {0, 1, 2, 3, 4}
    for point, acknowledged in deaths:
        opened = Gallery.open(tmp_path / str(point))
        assert state(opened) in STATES[acknowledged : acknowledged + 2]
        opened.add(faces("q", 7))  # the dead writer's lock is free, what it left over is swept
        assert state(Gallery.open(opened.folder))["q"] == 7
        assert len(list(opened.folder.iterdir())) == 2 + len(opened._manifest.shards)


@pytest.mark.parametrize("count", [1, 7, 40])
def test_a_writer_killed_from_outside_loses_nothing_acknowledged(tmp_path, count):
    command = writer("endless", tmp_path / "g")
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        for _ in range(count):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        late = process.stdout.read().split()  # acknowledged before the signal arrived
    found = Gallery.open(tmp_path / "g")
    acknowledged = count + len(late)
    assert len(found) - 1 in (acknowledged, acknowledged + 1)
    np.testing.assert_array_equal(found.latent.values[1:, 0], np.arange(len(found) - 1))
