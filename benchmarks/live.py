"""Live speed on a 640x480 video of the public-domain portrait, moved as heads move.

    python benchmarks/live.py [--model FOLDER] [--frames N] [--engine openvino --precision bf16]

Without --model: a StarGAN of the published sizes (width 64, six blocks, 128 px), never
trained, which costs what a trained one does. First the whole: the video is decoded, its face
followed, translated and pasted back, and a video encoded, as `mien live IN --model M -o OUT`
does; frames a second of the wall clock, so run it on an idle machine. Then each part alone,
milliseconds a frame of wall clock and of CPU time of all threads; decoding and encoding run
beside the rest in threads of their own.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import skimage
import torch

from mien.faces.read import read_photo
from mien.generators import open_translator
from mien.generators.contract import Translator
from mien.generators.stargan import Architecture, Generator, StarGAN
from mien.live.changes import Translates
from mien.live.loop import Run
from mien.live.patch import cut, put_back
from mien.live.reader import Reader
from mien.live.sink import VideoFile
from mien.live.source import Frame, open_source
from mien.live.track import Tracker
from mien.recognise.any_size import AnySize
from mien.recognise.recogniser import open_recogniser
from mien.runtime.engine import engine
from mien.runtime.precision import precision

WIDTH, HEIGHT, RATE = 640, 480, 30
NAMES = ["Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young"]


def head_video(path: Path, count: int) -> None:
    """A video whose face sways, nods, comes nearer and tilts."""
    portrait = read_photo(Path(skimage.__file__).parent / "data" / "astronaut.png")
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(RATE))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for step in range(count):
            scale, angle = 1.4 + 0.1 * np.sin(step / 20), 8 * np.sin(step / 17)
            matrix = cv2.getRotationMatrix2D((224, 128), angle, scale)
            matrix[:, 2] += (96 + 60 * np.sin(step / 15), 92 + 25 * np.sin(step / 11))
            frame = cv2.warpAffine(portrait, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
            frame = np.clip(frame + random.normal(0, 3, frame.shape), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def untrained() -> StarGAN:
    """A translator of the published sizes."""
    torch.manual_seed(0)
    shape = Architecture(labels=len(NAMES))
    card = {
        "name": "untrained", "sha256": "0" * 64, "parts": [{"names": NAMES, "kind": "binary"}],
        "input": {"size": shape.size, "frame": "celeba", "range": [-1, 1]},
    }  # fmt: skip
    return StarGAN(Generator(shape), card)


def whole(video: Path, changes: Translates, wish: dict[str, float], out: Path) -> None:
    """Frames a second from file to file."""
    source = open_source(str(video))
    with (
        VideoFile(out, {"benchmark": "live"}, source.rate) as file,
        Reader(source.frames(), newest=False) as reader,
    ):
        report = Run(reader, Tracker(changes.frame), changes, file, wish)()
    source.close()
    print(f"whole      {report.rate:8.1f} frames a second, {report.changed} of {report.frames}")


def by_part(video: Path, changes: Translates, wish: dict[str, float], out: Path) -> None:
    """Milliseconds a frame of each part, one after the other."""
    wall: dict[str, float] = defaultdict(float)
    cpu: dict[str, float] = defaultdict(float)

    @contextmanager
    def part(name: str) -> Iterator[None]:
        begun, used = time.perf_counter(), time.process_time()
        yield
        wall[name] += time.perf_counter() - begun
        cpu[name] += time.process_time() - used

    source = open_source(str(video))
    with part("decode"):
        frames = list(source.frames())
    source.close()
    tracker, done = Tracker(changes.frame), []
    for frame in frames:
        pixels = frame.pixels.copy()
        with part("follow"):
            faces = tracker.follow(frame.pixels, frame.seconds)
        for face in faces:
            with part("cut"):
                crop = cut(frame.pixels, face.matrix, changes.size)[None]
            with part("translate"):
                after, before = changes.change(crop, wish, face.person)
            with part("put back"):
                put_back(pixels, face.matrix, after[0], before[0])
        done.append(Frame(pixels, frame.seconds))
    with part("encode"), VideoFile(out, {"benchmark": "live"}, RATE) as file:
        for frame in done:
            file.show(frame, ())
    print("part        wall ms   cpu ms")
    for name in wall:
        each = [1000 * values[name] / len(frames) for values in (wall, cpu)]
        print(f"{name:10} {each[0]:8.2f} {each[1]:8.2f}")


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="model folder of a translator")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--engine", default="torch")
    parser.add_argument("--precision", default="fp32")
    asked = parser.parse_args()
    translator: Translator = open_translator(asked.model) if asked.model else untrained()
    changes = Translates(translator, AnySize(open_recogniser()))
    wish = {translator.names[0]: 1.0}
    with (
        precision(asked.precision), engine(asked.engine),
        tempfile.TemporaryDirectory() as folder,
    ):  # fmt: skip
        video, out = Path(folder) / "in.mp4", Path(folder) / "out.mp4"
        head_video(video, asked.frames)
        size = translator.size  # engines compile at their first face
        changes.change(np.zeros((1, 3, size, size), np.float32), wish, 0)
        whole(video, changes, wish, out)
        by_part(video, changes, wish, out)


if __name__ == "__main__":
    main()
