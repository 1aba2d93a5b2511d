"""What the first tab of a run says: its main figures, and the settings that somebody has chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticUndefined

from backline.configs import same
from experiments import recipes
from experiments.models import Run, Series
from experiments.run_table import compare

FIGURES = 8


@dataclass(frozen=True)
class Setting:
    """One setting by its dotted name. `default` is what its recipe would have chosen, where
    `has_default`; a program that was started outside has no recipe."""

    key: str
    value: Any
    default: Any = None
    has_default: bool = False

    @property
    def changed(self) -> bool:
        return not self.has_default or not same(self.value, self.default)


def settings(run: Run) -> list[Setting]:
    """Return the run's settings in the order of its config."""
    defaults = _defaults(run.recipe)
    return [
        Setting(key, value, defaults.get(key), key in defaults)
        for key, value in compare.flat(run.config).items()
    ]


def _defaults(recipe: str) -> dict[str, Any]:
    """Return what the recipe chooses itself, by dotted name; nothing without a recipe."""
    if recipe not in recipes.RECIPES:
        return {}
    fields = recipes.get(recipe).config.model_fields
    values = {
        name: field.get_default(call_default_factory=True, validated_data={})
        for name, field in fields.items()
    }
    return compare.flat(
        {name: _plain(value) for name, value in values.items() if value is not PydanticUndefined}
    )


def _plain(value: Any) -> Any:
    """Return a default as the stored config writes it."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return list(value) if isinstance(value, tuple | set | frozenset) else value


def headlines(series: Sequence[Series]) -> list[Series]:
    """Return the figures to look at first: the loss, then the control figures."""
    by_name = {one.name: one for one in series}
    names = list(by_name)
    wanted = [compare.first_choice(names), *compare.controls(names)][:FIGURES]
    return [by_name[name] for name in wanted if name in by_name]
