"""Configs as programs have them, as JSON: what it cannot express is converted, or kept as a text.

Only the shapes of other libraries' objects are known here, never the libraries: a config of
OmegaConf, a dtype of torch and an array of numpy are recognised by what they offer.
"""

import enum
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time
from numbers import Integral, Real
from types import SimpleNamespace
from typing import Any, NoReturn

from backline import bounds
from backline.numbers import shown

# Deeper and wider than a person reads; and well within what can be stored.
MAX_DEPTH = bounds.MAX_JSON_DEPTH - 2
MAX_ITEMS = 1_000
MAX_VALUES = 10_000
# Characters of a value that may be left out of a config that is too long, before others are.
LARGE = 2_000
# Characters of what is kept as a text.
MAX_TEXT = 1_000
# Memory addresses would make the configs of two equal runs differ.
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
NOT_FINITE = {math.inf: "inf", -math.inf: "-inf"}


class Converter:
    """Converts one config. `texts` are the paths whose values became a text, with their types."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._room = MAX_VALUES
        self._above: set[int] = set()

    def convert(self, value: Any, path: str = "", depth: int = 0) -> Any:
        """Return the value as JSON has it, but for NaN and infinities, which stay numbers."""
        self._room -= 1
        try:
            leaf = _leaf(value)
            if leaf is not None or value is None:
                return leaf
            if self._room < 0 or depth >= MAX_DEPTH or id(value) in self._above:
                # Its own text could be as endless as itself.
                self.texts[path] = type(value).__name__
                return f"{type(value).__name__} (left out)"
            self._above.add(id(value))
            try:
                return self._inside(value, path, depth + 1)
            finally:
                self._above.discard(id(value))
        except Exception:  # noqa: BLE001 - whatever an object does, a config must not end a program.
            return self._text(value, path)

    def _inside(self, value: Any, path: str, depth: int) -> Any:
        named = _named(value)
        if named is not None:
            return self._convert_named(named, path, depth)
        items = _items(value)
        if items is None:
            return self._text(value, path)
        return [self.convert(item, f"{path}[{n}]", depth) for n, item in enumerate(items)]

    def _convert_named(self, named: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
        converted: dict[str, Any] = {}
        for key, item in list(named.items()):
            name = key.name if isinstance(key, enum.Enum) else key
            name = bounds.readable(name if isinstance(name, str) else shown(name).strip("'"))
            inside = f"{path}.{name}" if path else name
            if name in converted:
                self.texts[inside] = "a second value, left out"
            else:
                converted[name] = self.convert(item, inside, depth)
        return converted

    def _text(self, value: Any, path: str) -> str:
        self.texts[path] = type(value).__name__
        name = getattr(value, "__qualname__", None)
        if isinstance(name, str) and isinstance(module := getattr(value, "__module__", None), str):
            # A function or class.
            return bounds.readable(f"{module}.{name}")[:MAX_TEXT]
        try:
            text = str(value)
        except Exception:  # noqa: BLE001 - see above.
            text = shown(value)
        return bounds.readable(ADDRESS.sub("", text))[:MAX_TEXT]


def _of_enum(value: enum.Enum) -> str:
    return value.value if isinstance(value.value, str) else value.name


def _of_int(value: Any) -> int | str:
    number = int(value)
    return number if bounds.MIN_INT <= number <= bounds.MAX_JSON_INT else str(number)


# In this order: a bool is an int, and some enums are texts or numbers.
LEAVES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (bool, bool),
    (enum.Enum, _of_enum),
    (str, lambda value: bounds.readable(str(value))[: bounds.MAX_PROSE]),
    (Integral, _of_int),
    (os.PathLike, lambda value: bounds.readable(os.fsdecode(value))),
    (date, lambda value: value.isoformat()),
    (time, lambda value: value.isoformat()),
)


def _leaf(value: Any) -> Any:
    """Return a value that is a single one as JSON has it; None for everything else."""
    for kind, convert in LEAVES:
        if isinstance(value, kind):
            return convert(value)
    if isinstance(value, Real) and not hasattr(value, "shape"):
        return float(value)
    if _is_of(value, "torch", "dtype", "device", "layout") or _is_of(value, "numpy", "dtype"):
        return str(value)
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        # A scalar of numpy, torch or jax.
        return _leaf(value.item())
    return None


def _is_of(value: Any, package: str, *names: str) -> bool:
    return any(
        kind.__module__.partition(".")[0] == package and kind.__name__ in names
        for kind in type(value).__mro__
    )


def _named(value: Any) -> Mapping[Any, Any] | None:
    """Return what has names inside it as a mapping: a dataclass, a namespace, OmegaConf ..."""
    named: Any = None
    if _is_of(value, "omegaconf", "DictConfig"):
        named = _omegaconf(value)
    elif isinstance(value, Mapping):
        named = value
    elif isinstance(value, type):
        named = None
    elif is_dataclass(value):
        named = {field.name: getattr(value, field.name) for field in fields(value)}
    elif isinstance(value, SimpleNamespace) or _is_of(value, "argparse", "Namespace"):
        named = vars(value)
    elif hasattr(type(value), "__attrs_attrs__"):
        named = {field.name: getattr(value, field.name) for field in type(value).__attrs_attrs__}
    else:
        # In this order: pydantic, named tuples, transformers and ml_collections.
        calls = (getattr(value, name, None) for name in ("model_dump", "_asdict", "to_dict"))
        named = next((call() for call in calls if callable(call)), None)
    return named if isinstance(named, Mapping) else None


def _omegaconf(value: Any) -> Any:
    # Whoever has such a config has the library.
    to_container = sys.modules["omegaconf"].OmegaConf.to_container
    try:
        return to_container(value, resolve=True)
    except Exception:  # noqa: BLE001 - an interpolation of something that is not there.
        return to_container(value, resolve=False)


def _items(value: Any) -> Iterable[Any] | None:
    """Return the values of a list, a set or a small array."""
    if _is_of(value, "omegaconf", "ListConfig"):
        value = _omegaconf(value)
    if isinstance(value, set | frozenset):
        value = sorted(value, key=lambda item: (type(item).__name__, str(item)))
    if isinstance(value, list | tuple | range):
        return value if len(value) <= MAX_ITEMS else None
    if hasattr(value, "tolist") and hasattr(value, "shape"):
        size = math.prod(value.shape)
        value = value.detach() if hasattr(value, "detach") else value
        return value.tolist() if size <= MAX_ITEMS else None
    return None


def plain(
    config: Any, *, say: Callable[[str], None], most: int = bounds.MAX_CONFIG_BYTES
) -> dict[str, Any]:
    """Return any config as a dict of what JSON has, NaN and infinities included.

    What becomes a text is said, in one warning; what has more than `most` bytes loses its largest
    values.
    """
    converter = Converter()
    converted = converter.convert(config)
    if config is None or not isinstance(converted, dict):
        if config is not None:
            say(f"A config has names in it; {shown(config)} has none and is kept as “value”.")
        converted = {} if config is None else {"value": converted}
    converter.texts.pop("", None)
    too_long = _shorten(converted, most)
    if converter.texts:
        named = ", ".join(f"{path} ({kind})" for path, kind in list(converter.texts.items())[:10])
        say(f"Kept as a text, as JSON has no such values: {bounds.readable(named)[:1_000]}.")
    if too_long:
        say(f"The config is too long; left out: {', '.join(too_long)[:1_000]}.")
    return converted


def _shorten(config: dict[str, Any], most: int) -> list[str]:
    """Leave the largest values out of a config until it can be stored, and then the last ones;
    return their names."""
    if _is_storable(config, most):
        return []
    values = {name: len(repr(value)) for name, value in config.items()}
    sizes = {name: len(name) + size + 8 for name, size in values.items()}
    room = most - sum(sizes.values())
    left_out: list[str] = []
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        words = f"left out: {values[name]:,} characters"
        if room >= 0 or sizes[name] < LARGE:
            break
        left_out.append(name)
        config[name] = words
        room += sizes[name] - len(name) - len(words) - 8
        sizes[name] = len(name) + len(words) + 8
    for name in reversed(list(config)):
        if room >= 0:
            break
        room += sizes[name]
        left_out.append(name)
        del config[name]
    if not _is_storable(config, most):
        config.clear()
        return ["everything"]
    return left_out


def _is_storable(config: dict[str, Any], most: int) -> bool:
    try:
        bounds.check_json(as_json(config), most=most)
    except bounds.NotStorable:
        return False
    return True


def as_json(value: Any) -> Any:
    """Return what JSON can express: NaN and infinities become "nan", "inf" and "-inf"."""
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return NOT_FINITE.get(value, "nan")
    return value


class Config(dict[str, Any]):
    """The config of a run. It can be completed and changed; each change is delivered, and the
    portal shows when it was made. Values of the first level are attributes, too."""

    _deliver: Callable[[dict[str, Any]], None]
    _say: Callable[[str], None]
    _delivered: dict[str, Any]

    def __init__(
        self,
        values: Mapping[str, Any],
        *,
        deliver: Callable[[dict[str, Any]], None],
        say: Callable[[str], None],
    ) -> None:
        super().__init__(values)
        for name, value in (
            ("_deliver", deliver), ("_say", say), ("_delivered", as_json(dict(self)))
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"The config has no {name!r}.") from None

    def _stays(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("What a run was configured with stays; set another value.")

    __delitem__ = pop = popitem = clear = _stays

    def __ior__(self, values: Any) -> "Config":  # type: ignore[override,misc]
        self.update(values)
        return self

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, values: Any = (), /, **more: Any) -> None:
        """Set several values: of a dict, a dataclass, a Namespace, pairs, or by name."""
        if not isinstance(values, Mapping) and isinstance(values, list | tuple):
            values = dict(values)
        added = plain(values, say=self._say) | plain(more, say=self._say)
        super().update(added)
        self.deliver_changes()

    def deliver_changes(self) -> None:
        """Deliver what has changed since the last time, also inside of values."""
        now = plain(dict(self), say=lambda _: None)
        now = as_json(now)
        changed = {
            name: value
            for name, value in now.items()
            if name not in self._delivered or not same(value, self._delivered[name])
        }
        if changed:
            self._delivered = now
            self._deliver(changed)


def same(one: Any, other: Any) -> bool:
    """Return whether two values of JSON are the same; unlike in Python, 1 is not true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
