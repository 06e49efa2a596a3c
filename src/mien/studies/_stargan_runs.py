"""One run of a grid of StarGANs: trained, measured, and its result kept; alone or side by side."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from mien.errors import BadInput, MienError
from mien.faces.celeba import read_celeba
from mien.files import write_json
from mien.generators.stargan import open_translator
from mien.recognise.any_size import AnySize
from mien.recognise.recogniser import open_recogniser
from mien.studies import translation
from mien.studies._split import Progress
from mien.studies._stargan_grids import Entry
from mien.train import stargan
from mien.train.hair import hair_masks
from mien.train.run import CHECKPOINT

RECIPE, RESULT = "recipe.json", "result.json"  # written first, and last


@dataclass
class Bench:
    """What runs in one process are measured with; test photos are read once a size."""

    root: Path
    options: translation.Options
    known: dict[int, translation.Photos] = field(default_factory=dict)
    opened: list[AnySize] = field(default_factory=list)

    @property
    def readers(self) -> translation.Readers:
        """Recogniser and judge."""
        if not self.opened:
            self.opened = [AnySize(open_recogniser(name)) for name in ("recogniser", "judge")]
        return self.opened[0], self.opened[1]

    def photos(self, size: int) -> translation.Photos:
        """Test photos of `size` px."""
        if size not in self.known:
            self.known[size] = translation.read(self.root, size, self.readers, self.options)
        return self.known[size]


@dataclass(frozen=True)
class Outcome:
    """What became of one run: its result.json, or the sentence that says why there is none."""

    name: str
    result: dict[str, Any] | None
    failure: str = ""


def in_turn(entries: Sequence[Entry], bench: Bench, folder: Path, progress: Progress) -> Outcomes:
    """Every run, one after another in this process, under `folder/NAME`."""
    return {entry.name: attempt(entry, bench, folder, progress) for entry in entries}


def side_by_side(
    entries: Sequence[Entry], bench: Bench, folder: Path, workers: int, progress: Progress
) -> Outcomes:
    """Every run in a process of its own, `workers` at once, which share the cores.

    A process that is killed costs its own run only.
    """
    found: Outcomes = {}
    if any(entry.recipe.hair for entry in entries):  # once, and not in every process
        data = read_celeba(bench.root, "train")
        hair_masks(data, lambda done, of: progress(done, of, "looking for hair"))
    pool = ThreadPoolExecutor(workers)
    given = (bench.root, bench.options, folder, max(1, torch.get_num_threads() // workers))
    try:
        waiting = [pool.submit(_in_process, entry, *given) for entry in entries]
        for done, future in enumerate(as_completed(waiting), start=1):
            outcome = future.result()
            found[outcome.name] = outcome
            progress(done, len(entries), outcome.name)
    finally:
        pool.shutdown(cancel_futures=True)
    return found


def attempt(entry: Entry, bench: Bench, folder: Path, progress: Progress) -> Outcome:
    """Take over, or train and measure, one run; whatever goes wrong is its outcome."""
    try:
        return Outcome(entry.name, perform(entry, bench, folder / entry.name, progress))
    except MienError as error:
        return Outcome(entry.name, None, str(error))
    except Exception as error:
        return Outcome(entry.name, None, f"{type(error).__name__}: {' '.join(str(error).split())}")


def perform(entry: Entry, bench: Bench, folder: Path, progress: Progress) -> dict[str, Any]:
    """The result of a finished run of the same recipe and measures, or of this one.

    An interrupted training goes on. Raises BadInput where `folder` holds another recipe's run.
    """
    recipe, options = _plain(asdict(entry.recipe)), _plain(asdict(bench.options))
    stored: dict[str, Any] | None = _stored(folder / RESULT)
    if stored is not None and "wholes" in stored:  # which earlier versions did not measure
        known = stored["key"]
        if _completed(known["recipe"]) == recipe and known["options"] == options:
            return stored
    if (folder / CHECKPOINT).is_file() and _completed(_stored(folder / RECIPE)) != recipe:
        raise BadInput(f"{folder} holds a run of another recipe; delete it or name this run anew")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RECIPE, recipe)

    def told(step: int, steps: int, text: str) -> None:
        progress(step, steps, f"{entry.name}: {text}")

    stargan.train(bench.root, folder, entry.name, entry.recipe, told)
    translator = open_translator(folder / entry.name)
    photos = bench.photos(translator.size)
    measured = (translator, photos, bench.readers, bench.options, folder, progress)
    rows, wholes = translation.measure(*measured)
    result = {
        "key": {"recipe": recipe, "options": options},
        "rows": [asdict(row) for row in rows],
        "wholes": [asdict(whole) for whole in wholes],
    }
    write_json(folder / RESULT, result)
    return result


def _in_process(
    entry: Entry, root: Path, options: translation.Options, folder: Path, threads: int
) -> Outcome:
    context = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(_quietly, entry, root, options, folder, threads).result()
        except BrokenProcessPool:
            text = "its process ended early, perhaps for want of memory; start the study again"
            return Outcome(entry.name, None, text)


def _quietly(
    entry: Entry, root: Path, options: translation.Options, folder: Path, threads: int
) -> Outcome:
    torch.set_num_threads(threads)
    return attempt(entry, Bench(root, options), folder, lambda *step: None)


def _stored(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise BadInput(f"{path} is damaged; delete its folder to run it again") from None


def _completed(recipe: dict[str, Any] | None) -> dict[str, Any]:
    """A stored recipe, with fields that came later at what they were in effect."""
    completed: dict[str, Any] = _plain(asdict(stargan.Recipe())) | (recipe or {})
    return completed


def _plain(value: Any) -> Any:
    """As it comes back from JSON."""
    return json.loads(json.dumps(value))


Outcomes = dict[str, Outcome]
