"""Fill a gallery by whole shards, in processes here or by Ray on a cluster.

The list of photos is cut into shards at fixed places; who encodes them, how
many there are and in which order they end changes no byte of the gallery.
Finished shards wait in the gallery's folder `parts` and are added in order by
the one process that holds its lock, so a build that was killed goes on with
the shards that were not finished.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mien.errors import BadInput
from mien.generators.contract import Space
from mien.search._encode import BuildOptions, Reader, cut, listed
from mien.search._folder import PARTS, sweep_parts
from mien.search._named import namesakes
from mien.search._parts import Opener, Part, Recipe, make_part, read_part
from mien.search.build import BuildReport, Progress, open_or_create
from mien.search.gallery import Gallery

# given parts, each of them once its file is in the folder
Runner = Callable[[Sequence[Part], Path], Generator[Part, None, None]]


@dataclass(frozen=True)
class Models:
    """Opens a space, and with `recognise` the recogniser, in any process.

    space: an embedded model's name, or a folder's absolute path.
    """

    space: str = "vae-128"
    recognise: bool = False

    def __call__(self) -> tuple[Space, Reader | None]:
        """Raises what `open_space` and `open_recogniser` raise."""
        from mien.generators import open_space

        space = open_space(self.space)
        if not self.recognise:
            return space, None
        from mien.recognise.any_size import AnySize
        from mien.recognise.recogniser import open_recogniser

        return space, AnySize(open_recogniser())


def in_processes(workers: int) -> Runner:
    """Encode in `workers` processes here, each with its share of the cores."""
    from mien.search._part_pool import encode_in_processes

    if workers < 1:
        raise BadInput(f"{workers} workers encode nothing; give 1 or more")
    return partial(encode_in_processes, workers=workers)


def on_ray(address: str) -> Runner:
    """Encode on Ray: "local" starts it here, "auto" or HOST:PORT joins a cluster.

    Every node needs mien, the models and the photos under the same paths; the gallery
    is written by this process alone. MissingExtra without Ray.
    """
    from mien.search._part_ray import encode_on_ray, import_ray

    import_ray()
    return partial(encode_on_ray, address=address)


def build_in_bulk(
    folder: Path,
    paths: Sequence[Path],
    opener: Opener,
    runner: Runner,
    options: BuildOptions | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """As `build_gallery`, by whole shards that `runner` encodes: the same bytes in the folder.

    opener: opens the models in each process; options.recogniser is not used. Raises
    what `build_gallery` and the opener raise, and BadInput when a worker dies; the shards
    finished until then are kept.
    """
    options = options or BuildOptions()
    photos = listed(paths, options)
    space, recogniser = opener()
    gallery = open_or_create(folder, space.sample(1))
    with gallery.writing(keep_parts=True):
        shards = cut(photos, gallery.places, options)
        named = namesakes(photos, gallery)
        recipe = _recipe(opener, space, recogniser, options)
        parts = [make_part(recipe, shard, options.attributes) for shard in shards]
        stored, left_out = _fill(gallery, parts, runner, progress)
    given = {str(path.absolute()): str(path) for path in paths}
    said = [(given[path], sentence.replace(path, given[path])) for path, sentence in left_out]
    skipped = len(photos) - sum(map(len, parts)) - len(named.clashes)
    return BuildReport(stored, skipped, (*named.clashes, *said), named.moved)


def _recipe(
    opener: Opener, space: Space, recogniser: Reader | None, options: BuildOptions
) -> Recipe:
    from mien.runtime import engine, precision

    reads = tuple(recogniser.names) if recogniser else ()
    how = (precision.current(), engine.current())
    return Recipe(opener, space.mark, options.aligned, options.number, *how, reads)


def _fill(
    gallery: Gallery, parts: Sequence[Part], runner: Runner, progress: Progress | None
) -> tuple[int, list[tuple[str, str]]]:
    """Encode what is not finished, and add what is, in order."""
    place = gallery.folder / PARTS
    sweep_parts(gallery.folder, {part.name for part in parts})
    place.mkdir(exist_ok=True)
    waiting = [part for part in parts if not (place / part.name).exists()]
    left_out: list[tuple[str, str]] = []
    added, stored, total = 0, 0, sum(map(len, parts))
    done = total - sum(map(len, waiting))
    with closing(_steps(waiting, runner, place)) as steps:
        for fresh in steps:
            while added < len(parts) and (place / parts[added].name).exists():
                path = place / parts[added].name
                entries, unusable = read_part(path, gallery.space, gallery.mark)
                if entries is not None:
                    gallery.add(entries)
                    stored += len(entries)
                path.unlink()
                left_out += unusable
                added += 1
            done += fresh
            if progress is not None:
                progress(done, total)
    sweep_parts(gallery.folder)
    return stored, left_out


def _steps(waiting: Sequence[Part], runner: Runner, place: Path) -> Generator[int, None, None]:
    """Photos that are finished now: none at first, then those of each part."""
    yield 0
    if waiting:
        with closing(runner(waiting, place)) as ended:
            for part in ended:
                yield len(part)
