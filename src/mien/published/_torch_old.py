"""torch's older files: a row of pickles and raw storages (0.2 to 1.5), and tar files (0.1).

The first is also what stylegan2-ada's pickles carry for every tensor, as bytes
that `torch.storage._load_from_bytes` would load.
"""

from __future__ import annotations

import struct
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.published._names import BUILDERS, check_key, storage_code
from mien.published._pickle import read_pickle
from mien.published._stream import Stream
from mien.published._values import Refused, Storage, Tensor, printable

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
TAR_PARTS = ("storages", "tensors", "pickle")


def read_torch_old(stream: Stream) -> Any:
    """What torch.save stored before its zip format, from the magic number on.

    Raises Refused when storages are missing or of another size than declared.
    """
    if read_pickle(stream) != MAGIC or read_pickle(stream) != PROTOCOL:
        raise Refused("is a torch file of an unknown version")
    read_pickle(stream)  # what machine wrote it
    known = _Storages()
    value = read_pickle(stream, known.named)
    keys = read_pickle(stream)
    if not isinstance(keys, list) or len(keys) != len(known.roots):
        raise Refused("does not hold the numbers it declares; fetch it again")
    for key in keys:
        if check_key(key) not in known.roots:
            raise Refused("does not hold the numbers it declares; fetch it again")
        _fill(stream, known.roots[key])
    for view, root, offset in known.views:
        view.data = _part(root, offset, view.count)
    return value


def read_network_pickle(stream: Stream) -> Any:
    """A pickle whose tensors carry their storages as bytes, as stylegan2-ada writes them."""
    nested = {"torch.storage._load_from_bytes": _nested}
    return read_pickle(stream, None, BUILDERS | nested)


def _nested(data: Any) -> Any:
    if not isinstance(data, bytes):
        raise Refused("holds a tensor whose numbers are not bytes")
    return read_torch_old(Stream(data))


@dataclass
class _Storages:
    """The storages that a pickle refers to, found by key."""

    roots: dict[Any, Storage] = field(default_factory=dict)
    views: list[tuple[Storage, Storage, int]] = field(default_factory=list)

    def named(self, identity: Any) -> Storage:
        """('storage', type, key, place, count, view or None)."""
        if not isinstance(identity, tuple) or len(identity) != 6 or identity[0] != "storage":
            raise Refused("refers to numbers in an unknown way")
        _, number, key, _place, count, part = identity
        check_key(key)
        root = self.roots.setdefault(key, Storage(storage_code(number), _length(count)))
        if part is None:
            return root
        _key, offset, size = part
        view = Storage(root.dtype, _length(size))
        self.views.append((view, root, offset))
        return view


def _length(count: Any) -> int:
    if type(count) is not int:
        raise Refused("declares a length that is no whole number")
    return count


def _fill(stream: Stream, storage: Storage) -> None:
    (count,) = struct.unpack("<q", stream.view(8))
    if count != storage.count:
        raise Refused(f"declares {storage.count} numbers where it holds {count}")
    storage.data = stream.view(count * storage.item)


def _part(root: Storage, offset: int, count: int) -> memoryview:
    if root.data is None or not 0 <= offset <= offset + count <= root.count:
        raise Refused("declares a view outside its storage")
    return root.data[offset * root.item : (offset + count) * root.item]


def read_torch_tar(stream: Stream, path: Path) -> Any:
    """What torch 0.1 stored as a tar of `storages`, `tensors` and `pickle`."""
    parts = {name: _member(stream, path, name) for name in TAR_PARTS}
    held: dict[Any, Any] = _tar_storages(parts["storages"])
    for _ in range(_whole(parts["tensors"])):
        key, root, _kind = read_pickle(parts["tensors"])
        held[check_key(key)] = _tar_tensor(parts["tensors"], held[check_key(root)])
    return read_pickle(parts["pickle"], _lookup(held))


def _member(stream: Stream, path: Path, name: str) -> Stream:
    try:
        with tarfile.open(path, "r:") as archive:
            info = archive.getmember(name)
    except (tarfile.TarError, KeyError, OSError, ValueError) as error:
        raise Refused(f"is a tar file, but none of torch's ({printable(error)})") from None
    return Stream(bytes(Stream(stream.buffer, info.offset_data).view(info.size)))


def _tar_storages(stream: Stream) -> dict[Any, Storage]:
    held = {}
    for _ in range(_whole(stream)):
        key, _place, number = read_pickle(stream)
        code = storage_code(number)
        (count,) = struct.unpack("<q", stream.view(8))
        storage = Storage(code, count)
        storage.data = stream.view(count * storage.item)
        held[check_key(key)] = storage
    for target, root, offset, count in read_pickle(stream):
        view = Storage(held[check_key(root)].dtype, count)
        view.data = _part(held[root], offset, count)
        held[check_key(target)] = view
    return held


def _tar_tensor(stream: Stream, storage: Storage) -> Tensor:
    (dimensions,) = struct.unpack("<i4x", stream.view(8))
    packed = struct.Struct(f"<{dimensions}q") if 0 <= dimensions <= 64 else struct.Struct("")
    shape, stride = packed.unpack(stream.view(packed.size)), packed.unpack(stream.view(packed.size))
    (offset,) = struct.unpack("<q", stream.view(8))
    return Tensor(storage, offset, shape, stride)


def _whole(stream: Stream) -> int:
    count = read_pickle(stream)
    if type(count) is not int or not 0 <= count <= len(stream):
        raise Refused("declares an impossible number of tensors")
    return count


def _lookup(held: dict[Any, Any]) -> Callable[[Any], Any]:
    def find(identity: Any) -> Any:
        return held[int(identity)]

    return find
