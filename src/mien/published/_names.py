"""The few names a checkpoint may hold, and the inert value that stands for each.

A name outside this table is refused when it is read, before anything is made
of it. No function here looks a name up, imports or evaluates: they sort what
the file says into values of `_values`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mien.published._values import (
    BFLOAT16,
    Array,
    Name,
    NumberType,
    Record,
    Refused,
    Storage,
    Tensor,
    printable,
)

Builder = Callable[..., Any]
NUMBERS = {
    "Double": "<f8", "Float": "<f4", "Half": "<f2", "BFloat16": BFLOAT16, "Long": "<i8",
    "Int": "<i4", "Short": "<i2", "Char": "<i1", "Byte": "<u1", "Bool": "<b1",
}  # fmt: skip
DTYPES = {
    "float64": "<f8", "float32": "<f4", "float16": "<f2", "bfloat16": BFLOAT16, "int64": "<i8",
    "int32": "<i4", "int16": "<i2", "int8": "<i1", "uint8": "<u1", "bool": "<b1",
}  # fmt: skip
DIMENSIONS, LONGEST = 64, 2**62  # of a tensor
KEYS = (str, int, float, bytes, bool, type(None))


def check_key(key: Any) -> Any:
    """The key of a dictionary or item of a set, if it is a plain value."""
    if not isinstance(key, KEYS):
        raise Refused(f"has a {type(key).__name__} as a key")
    return key


def storage_code(name: Any) -> str:
    """The type of numbers that `torch.FloatStorage` and its like stand for."""
    dotted = name.dotted if isinstance(name, Name) else ""
    code = NUMBERS.get(dotted.removeprefix("torch.").removesuffix("Storage"))
    if dotted in UNTYPED:
        return "<u1"
    if code is None:
        raise Refused(f"holds numbers of the type {printable(name)}, which mien does not read")
    return code


def whole(values: Any) -> tuple[int, ...]:
    """A tuple of whole numbers, such as a shape."""
    if not isinstance(values, tuple | list) or not all(type(v) is int for v in values):
        raise Refused("declares a shape that is not made of whole numbers")
    if len(values) > DIMENSIONS or any(abs(v) > LONGEST for v in values):
        raise Refused("declares a shape that no tensor can have")
    return tuple(values)


def _mapping(pairs: Iterable[Any] | Mapping[Any, Any] = ()) -> dict[Any, Any]:
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return {check_key(key): value for key, value in items}


def _set(items: Iterable[Any] = ()) -> set[Any]:
    return {check_key(item) for item in items}


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_rest: Any) -> Tensor:
    if not isinstance(storage, Storage) or type(offset) is not int:
        raise Refused("holds a tensor without numbers")
    return Tensor(storage, offset, whole(shape), whole(stride))


def _tensor_of_type(
    storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any
) -> Tensor:  # rest: requires_grad, hooks, dtype
    found = _tensor(storage, offset, shape, stride)
    code = DTYPES.get(rest[2].dotted.removeprefix("torch.")) if _named(rest[2:3]) else None
    if code is None:
        raise Refused("holds a tensor of a type that mien does not read")
    typed = Storage(code, 0)
    typed.count, typed.data = found.storage.count // typed.item, found.storage.data
    return Tensor(typed, found.offset, found.shape, found.stride)


def _named(values: tuple[Any, ...]) -> bool:
    return bool(values) and all(isinstance(value, Name) for value in values)


def _parameter(data: Any, *_rest: Any) -> Any:
    return data


def _persistent(meta: Any) -> Record:
    """A module of stylegan2-ada: its source, kept in the file as text, is never run."""
    if not isinstance(meta, dict) or not isinstance(meta.get("state"), dict):
        raise Refused("holds a persistent object without state")
    return Record(f"persistent {printable(meta.get('class_name'))}", meta["state"])


def _number_type(code: Any, *_flags: Any) -> NumberType:
    return NumberType(code if isinstance(code, str) else printable(code))


def _new_array(*_prototype: Any) -> Array:
    return Array()


def _scalar(number: Any, data: Any = b"") -> Any:
    array = Array()
    array.build(_checked(number), (), False, _raw(data))
    return array.array()[()].item()


def _from_buffer(data: Any, number: Any, shape: Any, order: Any = "C") -> Array:
    array = Array()
    array.build(_checked(number), whole(shape), order == "F", _raw(data))
    return array


def _checked(number: Any) -> NumberType:
    if not isinstance(number, NumberType):
        raise Refused("holds an array without a type")
    return number


def _raw(data: Any) -> bytes | bytearray:
    """Bytes; a text stands for them where Python 2 wrote the file."""
    if isinstance(data, str):
        return data.encode("latin-1")
    if not isinstance(data, bytes | bytearray):
        raise Refused("holds an array whose numbers are not stored as bytes")
    return data


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused("holds bytes in an unknown encoding")
    return text.encode("latin-1")


def _reconstructed(kind: Any, *_base: Any) -> Any:
    if not isinstance(kind, Name) or kind.dotted not in BUILDERS:
        raise Refused("holds an object without a class")
    return BUILDERS[kind.dotted]()


def _record(kind: str) -> Builder:
    return lambda *_arguments: Record(kind)


def _only_named(*_arguments: Any) -> Any:
    raise Refused("calls what is only a type of numbers")


def build(value: Any, state: Any) -> None:
    """What pickle's BUILD does: give an object its state.

    A dictionary's attributes, such as a state dict's version numbers, are left out.
    """
    if isinstance(value, Record) and isinstance(state, dict):
        value.state.update(state)
    elif isinstance(value, Array):
        _version, shape, number, fortran, data = state
        value.build(_checked(number), whole(shape), bool(fortran), _raw(data))
    elif isinstance(value, NumberType):
        value.code = value.dtype().newbyteorder(state[1]).str
    elif not isinstance(value, dict):
        raise Refused(f"gives a state to a {type(value).__name__}")


UNTYPED = ("torch.storage.UntypedStorage", "torch.UntypedStorage")
RECORDS = (
    "argparse.Namespace", "dnnlib.tflib.network.Network", "tfutil.Network",
    "types.SimpleNamespace",
)  # fmt: skip
PYTHON = ("builtins", "__builtin__")  # 3 and 2
NUMPY = ("numpy.core", "numpy._core")  # before and since NumPy 2
BUILDERS: dict[str, Builder] = {
    **{kind: _record(kind) for kind in RECORDS},
    **{f"torch.{kind}{what}": _only_named for kind in NUMBERS for what in ("Storage", "Tensor")},
    **{f"torch.{kind}": _only_named for kind in DTYPES},
    **dict.fromkeys(UNTYPED, _only_named),
    **{f"{module}.set": _set for module in PYTHON},
    **{f"{module}.{kind}": _only_named for module in PYTHON for kind in ("object", "dict", "list")},
    **{f"{numpy}.multiarray._reconstruct": _new_array for numpy in NUMPY},
    **{f"{numpy}.multiarray.scalar": _scalar for numpy in NUMPY},
    **{f"{numpy}.numeric._frombuffer": _from_buffer for numpy in NUMPY},
    "numpy.dtype": _number_type,
    "numpy.ndarray": _only_named,
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": lambda *_factory: {},
    "dnnlib.util.EasyDict": _mapping,
    "copyreg._reconstructor": _reconstructed,
    "copy_reg._reconstructor": _reconstructed,
    "_codecs.encode": _encoded,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_type,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.Size": lambda values=(): whole(values),
    "torch.device": lambda *values: ":".join(printable(value) for value in values),
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent,
}
