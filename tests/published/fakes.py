"""Small files in every published format, written by the tools that write the real ones."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import tarfile
import types
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Call:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.parts = (function, arguments)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.parts


class _Stored:
    """Pickles as torch's reference to a storage outside the pickle."""

    def __init__(self, key: str, count: int) -> None:
        self.identity = ("storage", torch.FloatStorage, key, "cpu", count)


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return obj.identity if isinstance(obj, _Stored) else None


def tensor(count: int, shape: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> Call:
    """A float32 tensor of that shape over a storage "0" that declares `count` numbers."""
    rebuild = torch._utils._rebuild_tensor_v2
    return Call(rebuild, _Stored("0", count), offset, shape, stride, False, OrderedDict())


def torch_zip(path: Path, value: Any, data: bytes, method: int = zipfile.ZIP_STORED) -> Path:
    """A torch file of today's kind whose storage "0" holds `data`."""
    pickled = io.BytesIO()
    _Pickler(pickled, 2).dump(value)
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("archive/data.pkl", pickled.getvalue())
        archive.writestr("archive/data/0", data)
        archive.writestr("archive/version", b"3\n")
    return path


def torch_tar(path: Path, tensors: Mapping[str, np.ndarray]) -> Path:
    """A torch 0.1 file of a state dict: storages, tensors and a pickle in a tar."""
    storages, held = io.BytesIO(), io.BytesIO()
    pickle.dump(len(tensors), storages, 2)
    pickle.dump(len(tensors), held, 2)
    for number, array in enumerate(tensors.values()):
        pickle.dump((number, "cpu", torch.FloatStorage), storages, 2)
        storages.write(struct.pack("<q", array.size) + array.tobytes("A"))
        pickle.dump((100 + number, number, torch.FloatTensor), held, 2)
        strides = [step // 4 for step in array.strides]
        held.write(struct.pack("<i4x", array.ndim))
        held.write(struct.pack(f"<{2 * array.ndim + 1}q", *array.shape, *strides, 0))
    pickle.dump([], storages, 2)
    named = io.BytesIO()
    _TarPickler(named, 2).dump({name: _Numbered(100 + n) for n, name in enumerate(tensors)})
    parts = {"sys_info": b"", "pickle": named.getvalue()}
    parts |= {"storages": storages.getvalue(), "tensors": held.getvalue()}
    with tarfile.open(path, "w:") as archive:
        for name, data in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


class _Numbered:
    def __init__(self, number: int) -> None:
        self.number = number


class _TarPickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return obj.number if isinstance(obj, _Numbered) else None


@contextmanager
def modules(*names: str) -> Iterator[list[types.ModuleType]]:
    """Modules of those dotted names exist while something is pickled."""
    made = []
    for name in names:
        for end in range(1, name.count(".") + 2):
            part = ".".join(name.split(".")[:end])
            sys.modules.setdefault(part, types.ModuleType(part))
        made.append(sys.modules[name])
    try:
        yield made
    finally:
        for name in names:
            for part in [n for n in sys.modules if n == name or n == name.partition(".")[0]]:
                del sys.modules[part]


def nvidia_pickle(path: Path, tensors: Mapping[str, np.ndarray], kwargs: dict[str, Any]) -> Path:
    """A stylegan2-ada snapshot: persistent modules that carry source code, options, D and G."""
    with modules("torch_utils.persistence", "dnnlib.util") as (persistence, util):

        def _reconstruct_persistent_obj(meta: Any) -> Any:
            raise AssertionError("the embedded source was run")

        class EasyDict(dict[str, Any]):
            pass

        for made, home in ((_reconstruct_persistent_obj, persistence), (EasyDict, util)):
            made.__module__, made.__qualname__ = home.__name__, made.__name__
            setattr(home, made.__name__, made)
        network = _module(_reconstruct_persistent_obj, tensors, EasyDict(kwargs))
        snapshot = {
            "G": network, "D": _module(_reconstruct_persistent_obj, {}, EasyDict()),
            "G_ema": network, "augment_pipe": None,
            "training_set_kwargs": EasyDict(path="ffhq.zip", resolution=np.int64(16)),
        }  # fmt: skip
        with path.open("wb") as handle:
            pickle.dump(snapshot, handle)
    return path


def _module(rebuild: Any, tensors: Mapping[str, np.ndarray], kwargs: Any) -> Call:
    """A module of stylegan2-ada as its __reduce__ describes it, children inside."""
    own = {name: value for name, value in tensors.items() if "." not in name}
    children: dict[str, dict[str, np.ndarray]] = {}
    for name, value in tensors.items():
        head, dot, tail = name.partition(".")
        if dot:
            children.setdefault(head, {})[tail] = value
    parameters = {
        n: torch.nn.Parameter(torch.from_numpy(v)) for n, v in own.items() if "w_" not in n
    }
    buffers = {n: torch.from_numpy(v) for n, v in own.items() if "w_" in n}
    state = {
        "training": True, "_parameters": OrderedDict(parameters), "_buffers": OrderedDict(buffers),
        "_non_persistent_buffers_set": set(), "_backward_hooks": OrderedDict(),
        "_modules": OrderedDict((n, _module(rebuild, t, {})) for n, t in children.items()),
        "_init_args": (), "_init_kwargs": kwargs, "z_dim": 8,
    }  # fmt: skip
    source = "import os\nraise SystemExit('the embedded source was run')\n"
    meta = {
        "type": "class", "version": 6, "module_src": source, "class_name": "Generator",
        "state": state,
    }  # fmt: skip
    return Call(rebuild, meta)


def tensorflow_pickle(
    path: Path,
    variables: Mapping[str, np.ndarray],
    kwargs: Mapping[str, Any] | None = None,
    place: str = "dnnlib.tflib.network",
) -> Path:
    """A (G, D, Gs) triple of networks; "synthesis/x" goes to the component of that name.

    kwargs: of the constructor. place: the module of the class; PGGAN's is "tfutil".
    """
    with modules(place) as (home,):

        class Network:
            def __getstate__(self) -> dict[str, Any]:
                return self.__dict__

        Network.__module__, Network.__qualname__ = home.__name__, "Network"
        home.Network = Network  # type: ignore[attr-defined]

        def network(held: Mapping[str, np.ndarray], components: Mapping[str, Any]) -> Network:
            made = Network()
            made.__dict__.update(
                version=4, name="Gs", static_kwargs=dict(kwargs or {}), components=components,
                build_module_src="raise SystemExit('run')", build_func_name="G_main",
                variables=[(name, value) for name, value in held.items()],
            )  # fmt: skip
            return made

        parts: dict[str, dict[str, np.ndarray]] = {"": {}}
        for name, value in variables.items():
            head, slash, tail = name.partition("/")
            nested = slash and head in ("mapping", "synthesis")
            parts.setdefault(head if nested else "", {})[tail if nested else name] = value
        inner = {name: network(held, {}) for name, held in parts.items() if name}
        averaged = network(parts[""], inner)
        with path.open("wb") as handle:
            pickle.dump((network({}, {}), network({}, {}), averaged), handle)
    return path
