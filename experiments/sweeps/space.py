"""What a sweep may try: for each setting a list of values, or a range.

    learning_rate: [0.001, 0.002, 0.004]              a list, tried one by one or drawn from
    batch_size: {min: 8, max: 64, step: 8}            whole numbers, or numbers with a step
    weight_decay: {min: 1.0e-6, max: 0.1, log: true}  drawn evenly over orders of magnitude

A key is the dotted name of a setting. Of an own program, `env.NAME` is a variable of its
environment, and a key that begins with `--` is an option of its command.
"""

import copy
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backline import bounds
from backline.configs import same
from experiments import recipes

MAX_PARAMETERS = 20
MAX_VALUES = 200
MAX_KEY = 100
OPTION = "--"
# The key of errors that belong to the sweep as a whole.
WHOLE = "sweep"
RANGE_WORDS = frozenset({"min", "max", "log", "step", "type"})
KINDS = ("int", "float")
NOTHING = "A sweep needs settings with several values: name at least one."


@dataclass(frozen=True)
class Parameter:
    """One setting that is swept: `values` of a list, else the range from `low` to `high`."""

    key: str
    kind: Literal["list", "int", "float"]
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False

    @property
    def count(self) -> int | None:
        """How many values it has; None where a number may be any of a range."""
        if self.kind == "list":
            return len(self.values)
        step = self.step or (1 if self.kind == "int" else None)
        # A step that does not divide the range in floating point still ends at `high`.
        return None if step is None else math.floor((self.high - self.low) / step + 1e-9) + 1

    def at(self, place: int) -> Any:
        """Return the value at a place of a list or of a range with steps."""
        if self.kind == "list":
            return self.values[place]
        value = self.low + place * (self.step or 1)
        return round(value) if self.kind == "int" else _neat(value)

    def ends(self) -> list[Any]:
        """Return all values of a list; of a range its ends, between which all others lie."""
        if self.kind == "list":
            return list(self.values)
        if self.count is not None:
            return [self.at(0), self.at(self.count - 1)]
        return [self.low, self.high]

    def decode(self, share: float) -> Any:
        """Return the number at a share (0 to 1) of the range, on its scale."""
        if self.log:
            value = math.exp(math.log(self.low) + share * math.log(self.high / self.low))
        else:
            value = self.low + share * (self.high - self.low)
        if self.kind == "int" or self.step:
            step = self.step or 1
            place = min(max(round((value - self.low) / step), 0), (self.count or 1) - 1)
            return self.at(place)
        return min(max(value, self.low), self.high)

    def as_json(self) -> list[Any] | dict[str, Any]:
        """Return it as `read` takes it."""
        if self.kind == "list":
            return list(self.values)
        number = round if self.kind == "int" else float
        spec: dict[str, Any] = {"min": number(self.low), "max": number(self.high)}
        if self.step:
            spec["step"] = number(self.step)
        if self.log:
            spec["log"] = True
        return {**spec, "type": self.kind}

    def __str__(self) -> str:
        """In words: "8 to 64 in steps of 8", "0.001, 0.002"."""
        if self.kind == "list":
            return ", ".join(_words(value) for value in self.values)
        how = " on a log scale" if self.log else f" in steps of {self.step:g}" if self.step else ""
        return f"{self.low:g} to {self.high:g}{how}"


@dataclass(frozen=True)
class Space:
    """All that is swept, in the order in which it was written."""

    parameters: tuple[Parameter, ...]

    @property
    def count(self) -> int | None:
        """How many combinations there are; None for endlessly many."""
        counts = [parameter.count for parameter in self.parameters]
        return None if None in counts else math.prod(count for count in counts if count)

    def combination(self, place: int) -> dict[str, Any]:
        """Return one combination of a finite space by its place: the last setting changes first."""
        params: dict[str, Any] = {}
        for parameter in reversed(self.parameters):
            place, inner = divmod(place, parameter.count or 1)
            params[parameter.key] = parameter.at(inner)
        return {parameter.key: params[parameter.key] for parameter in self.parameters}

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Yield every combination of a finite space, in the order of a grid."""
        for values in itertools.product(
            *(map(parameter.at, range(parameter.count or 0)) for parameter in self.parameters)
        ):
            yield {p.key: value for p, value in zip(self.parameters, values, strict=True)}

    def as_json(self) -> dict[str, Any]:
        return {parameter.key: parameter.as_json() for parameter in self.parameters}


def load(stored: Mapping[str, Any]) -> Space:
    """Return the space of a sweep's row: what `as_json` wrote."""
    return Space(tuple(_parameter(key, spec, whole=False) for key, spec in stored.items()))


def read(wanted: Mapping[str, Any], recipe: recipes.Recipe) -> Space:
    """Return the space that somebody asks for, without values that stand twice.

    Raises recipes.ConfigInvalid with a sentence for each key. Whether the recipe takes the values
    is not asked here.
    """
    if not isinstance(wanted, Mapping) or not wanted:
        raise recipes.ConfigInvalid({WHOLE: NOTHING})
    if len(wanted) > MAX_PARAMETERS:
        raise recipes.ConfigInvalid(
            {WHOLE: f"{len(wanted)} settings are swept; at most {MAX_PARAMETERS} go."}
        )
    parameters, errors = [], {}
    for key, spec in wanted.items():
        try:
            name = _key(key, recipe)
            parameters.append(_parameter(name, spec, whole=_is_whole(name, recipe)))
        except (ValueError, bounds.NotStorable) as refusal:
            name = bounds.readable(str(key))[:MAX_KEY]
            errors[name] = f"{name} {refusal}"
    if errors:
        raise recipes.ConfigInvalid(errors)
    space = Space(tuple(parameters))
    if space.count == 1:
        raise recipes.ConfigInvalid(
            {WHOLE: "There is only one combination: queue it as a run, or add values."}
        )
    return space


def put(config: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with the values of a trial in it."""
    filled = copy.deepcopy(dict(config))
    for key, value in params.items():
        if key.startswith(OPTION):
            filled["command"] = _with_option(filled.get("command", []), key, value)
            continue
        *parents, last = key.split(".")
        place = filled
        for part in parents:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise recipes.ConfigInvalid({key: f"{key} lies in a setting that has no parts."})
        place[last] = value
    return filled


def canonical(params: Mapping[str, Any]) -> str:
    """Return one text for the same parameters: 1.0 and 1 are the same number."""
    plain = {
        key: int(value) if isinstance(value, float) and value.is_integer() else value
        for key, value in params.items()
    }
    return json.dumps(plain, sort_keys=True)


# --- Reading one setting ----------------------------------------------------------------------


def _key(key: object, recipe: recipes.Recipe) -> str:
    """Return the key if the recipe's config has a place for it."""
    if not isinstance(key, str) or not 0 < len(key.strip()) <= MAX_KEY or not key.isprintable():
        raise ValueError("is no name of a setting.")
    key = key.strip()
    if key.startswith(OPTION):
        if not recipe.own or "=" in key or " " in key or len(key) == len(OPTION):
            raise ValueError("is no option of an own program's command.")
        return key
    if key == "use":
        raise ValueError("cannot be swept: consent is asked for one use.")
    if key.partition(".")[0] not in recipe.config.model_fields:
        raise ValueError(f"is no setting of {recipe.title.lower()}.")
    return key


def _is_whole(key: str, recipe: recipes.Recipe) -> bool | None:
    """Return whether the recipe takes whole numbers alone; None where it does not say."""
    field = recipe.config.model_fields.get(key)
    return None if field is None else field.annotation is int


def _parameter(key: str, spec: object, *, whole: bool | None) -> Parameter:
    if isinstance(spec, Mapping) and set(spec) == {"values"}:
        spec = spec["values"]
    if isinstance(spec, list):
        return _list(key, spec)
    if isinstance(spec, Mapping):
        return _range(key, spec, whole=whole)
    raise ValueError("needs a list of values, or a range with min and max.")


def _list(key: str, values: list[Any]) -> Parameter:
    if not values:
        raise ValueError("has an empty list: there is nothing to try.")
    if len(values) > MAX_VALUES:
        raise ValueError(f"has {len(values)} values; at most {MAX_VALUES} go.")
    bounds.check_json({"values": values}, "It")
    kept: list[Any] = []
    for value in values:
        if not any(same(value, other) for other in kept):
            kept.append(value)
    return Parameter(key, "list", tuple(kept))


def _range(key: str, spec: Mapping[str, Any], *, whole: bool | None) -> Parameter:
    if unknown := [str(word)[:40] for word in spec if word not in RANGE_WORDS]:
        raise ValueError(f"has “{unknown[0]}”, which no range has: min, max, step, log, type.")
    low, high = _number(spec, "min"), _number(spec, "max")
    step = _number(spec, "step") if spec.get("step") is not None else None
    log = spec.get("log", False)
    if log is not True and log is not False:
        raise ValueError("has log, which is true or false.")
    kind = spec.get("type") or ("int" if _all_whole(whole, low, high, step, log=log) else "float")
    if kind not in KINDS:
        raise ValueError("has a type other than int and float.")
    if low >= high:
        raise ValueError(f"goes from {low:g} to {high:g}: min must be less than max.")
    if log and low <= 0:
        raise ValueError("has a log scale, which begins above 0.")
    if step is not None and (log or not 0 < step <= high - low):
        raise ValueError("has a step that does not fit: above 0, within the range, without log.")
    if kind == "int" and not all(float(n).is_integer() for n in (low, high, step or 1)):
        raise ValueError("takes whole numbers: write min, max and step so.")
    return Parameter(
        key, "int" if kind == "int" else "float", low=low, high=high, step=step, log=log
    )


def _all_whole(
    whole: bool | None, low: float, high: float, step: float | None, *, log: bool
) -> bool:
    """Whether a range without a type is of whole numbers: as the recipe says, else as written."""
    if whole is not None:
        return whole
    return not log and all(isinstance(n, int) for n in (low, high, 1 if step is None else step))


def _number(spec: Mapping[str, Any], word: str) -> float:
    value = spec.get(word)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"needs {word} as a number.")
    if abs(value) > 1e15:
        raise ValueError(f"has {word} beyond what can be told apart.")
    return value


# --- Writing one setting ----------------------------------------------------------------------


def _with_option(command: object, key: str, value: Any) -> list[str]:
    """Return the words of a command with this option in place of one of the same name."""
    words = [str(word) for word in command] if isinstance(command, list) else [str(command)]
    kept: list[str] = []
    skip = False
    for place, word in enumerate(words):
        if skip:
            skip = False
        elif word == key:
            skip = place + 1 < len(words) and not words[place + 1].startswith("-")
        elif not word.startswith(f"{key}="):
            kept.append(word)
    return [*kept, f"{key}={_words(value)}"]


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _neat(value: float) -> float:
    """Return the number without the tail that adding steps leaves: 0.30000000000000004 is 0.3."""
    return float(f"{value:.12g}")
