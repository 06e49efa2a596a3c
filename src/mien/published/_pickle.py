"""A pickle read as data: its instructions are interpreted here, none of its code is.

Python's own unpickler imports whatever class or function the file names and calls
it, and `torch.load(weights_only=True)` refuses the training options that published
files carry, allocates the sizes that a file declares and cannot read stylegan2-ada's
pickles at all. Here `pickletools` (standard library) splits the file into
instructions, names stay names, and the only functions that exist are those of `_names`.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any, cast

from mien.published._names import BUILDERS, Builder, build, check_key
from mien.published._stream import Stream
from mien.published._values import Array, Name, Refused, printable

CONSTANTS = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "BYTEARRAY8", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
})  # fmt: skip
FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict, "EMPTY_SET": set,
}  # fmt: skip
IGNORED = frozenset({"PROTO", "FRAME"})
SLACK, FACTOR = 1 << 24, 4  # bytes that calls may make: the slack, and so many times the file
DAMAGE = (
    ValueError, IndexError, KeyError, TypeError, AttributeError, ArithmeticError, EOFError,
)  # fmt: skip


def read_pickle(
    stream: Stream,
    stored: Callable[[Any], Any] | None = None,
    builders: Mapping[str, Builder] = BUILDERS,
) -> Any:
    """The value of the pickle at the stream's position; the stream is left behind it.

    stored: what a persistent id stands for (torch keeps numbers outside the pickle).
    Raises Refused for a name outside `builders`, for an unknown instruction and
    for a damaged or cut file.
    """
    try:
        return _Machine(stream, stored, builders).run()
    except DAMAGE as error:
        raise Refused(f"is damaged, cut short or of no known format ({printable(error)})") from None


class _Machine:
    """The stack machine of the pickle language, without imports and calls."""

    def __init__(
        self,
        stream: Stream,
        stored: Callable[[Any], Any] | None,
        builders: Mapping[str, Builder],
    ) -> None:
        self._stream, self._stored, self._builders = stream, stored, builders
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # the stacks under each mark
        self._memo: dict[int, Any] = {}
        self._made = 0

    def run(self) -> Any:
        # genops asks of a file only what Stream has
        for opcode, argument, _ in pickletools.genops(cast(Any, self._stream)):
            if opcode.name == "STOP":
                break
            self._step(opcode.name, argument)
        return self._stack.pop()

    def _step(self, name: str, argument: Any) -> None:
        if name in CONSTANTS:
            self._stack.append(argument)
        elif name in FRESH:
            self._stack.append(FRESH[name]())
        elif name not in IGNORED:
            step = getattr(self, f"_{name.lower()}", None)
            if step is None:
                raise Refused(f"uses the pickle instruction {name}, which no checkpoint needs")
            step(argument)

    def _marked(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    # what the file names

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._name(f"{module}.{name}")

    def _stack_global(self, _: None) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise Refused("names something without a name")
        self._name(f"{module}.{name}")

    def _name(self, dotted: str) -> None:
        if dotted not in self._builders:
            raise Refused(
                f"wants to call {printable(dotted)}, which is no part of a checkpoint's numbers; "
                "nothing of it was run"
            )
        self._stack.append(Name(dotted))

    # what the file calls

    def _call(self, called: Any, arguments: Any) -> None:
        if not isinstance(called, Name) or not isinstance(arguments, tuple | list):
            raise Refused("calls something that has no name")
        value = self._builders[called.dotted](*arguments)
        self._charge(_weight(value))
        self._stack.append(value)

    def _charge(self, size: int) -> None:
        self._made += size
        if self._made > SLACK + FACTOR * len(self._stream):
            raise Refused("unfolds to far more than its own size")

    def _reduce(self, _: None) -> None:
        arguments, called = self._stack.pop(), self._stack.pop()
        self._call(called, arguments)

    _newobj = _reduce

    def _newobj_ex(self, _: None) -> None:
        if self._stack.pop():
            raise Refused("creates an object with named arguments")
        self._reduce(_)

    def _inst(self, argument: str) -> None:
        arguments = self._marked()
        self._global(argument)
        self._call(self._stack.pop(), arguments)

    def _obj(self, _: None) -> None:
        called, *arguments = self._marked()
        self._call(called, arguments)

    def _build(self, _: None) -> None:
        state = self._stack.pop()
        build(self._stack[-1], state)
        self._charge(_weight(state))

    def _binpersid(self, _: None) -> None:
        if self._stored is None:
            raise Refused("refers to numbers outside its pickle")
        self._stack.append(self._stored(self._stack.pop()))

    def _persid(self, argument: str) -> None:
        self._stack.append(argument)
        self._binpersid(None)

    # the stack

    def _mark(self, _: None) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _pop(self, _: None) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._marked()

    def _pop_mark(self, _: None) -> None:
        self._marked()

    def _dup(self, _: None) -> None:
        self._stack.append(self._stack[-1])

    def _put(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    _binput = _long_binput = _put

    def _memoize(self, _: None) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, place: int) -> None:
        self._stack.append(self._memo[place])

    _binget = _long_binget = _get

    # lists, tuples, dictionaries, sets

    def _tuple(self, _: None) -> None:
        items = tuple(self._marked())
        self._stack.append(items)

    def _tuple1(self, _: None) -> None:
        self._stack[-1:] = [(self._stack[-1],)]

    def _tuple2(self, _: None) -> None:
        self._stack[-2:] = [(self._stack[-2], self._stack[-1])]

    def _tuple3(self, _: None) -> None:
        self._stack[-3:] = [(self._stack[-3], self._stack[-2], self._stack[-1])]

    def _list(self, _: None) -> None:
        items = self._marked()
        self._stack.append(items)

    def _append(self, _: None) -> None:
        item = self._stack.pop()
        self._target(list).append(item)

    def _appends(self, _: None) -> None:
        items = self._marked()
        self._target(list).extend(items)

    def _dict(self, _: None) -> None:
        items = self._marked()
        self._stack.append({})
        self._set_items(items)

    def _setitem(self, _: None) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_items([key, value])

    def _setitems(self, _: None) -> None:
        self._set_items(self._marked())

    def _set_items(self, items: list[Any]) -> None:
        target = self._target(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[check_key(key)] = value

    def _additems(self, _: None) -> None:
        items = self._marked()
        self._target(set).update(check_key(item) for item in items)

    def _frozenset(self, _: None) -> None:
        items = self._marked()
        self._stack.append({check_key(item) for item in items})

    def _target(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise Refused(f"adds items to a {type(self._stack[-1]).__name__}")
        return self._stack[-1]


def _weight(value: Any) -> int:
    """About how many bytes a made value takes."""
    if isinstance(value, Array):
        return 0 if value.values is None else value.values.nbytes
    if isinstance(value, str | bytes | bytearray):
        return len(value)
    return 64 * len(value) if isinstance(value, dict | set | tuple) else 64
