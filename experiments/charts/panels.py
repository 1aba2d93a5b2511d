"""What a layout of panels may hold, and the panels that a page begins with.

A layout is JSON that people keep and share, so it is checked whole when it comes in and has a
version. What a panel leaves open (None) is as the page has it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from backline import bounds
from experiments.charts.bands import Spread
from experiments.media.reading import Name as MediaName
from experiments.run_table import compare

VERSION: Literal[1] = 1
MOST_PANELS = 200
# Panels that a page begins with; more are added by name.
MOST_AT_FIRST = 48
MEDIA_AT_FIRST = 12
COLUMNS = 12
KINDS = ("image", "clip", "histogram", "figure", "confusion", "table", "text")
LOSS, MEDIA, ALL_OTHERS = "Loss", "Media", "Metrics"

MOST_PINS = 200
Number = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")]
Step = Annotated[int, Field(ge=bounds.MIN_INT, le=bounds.MAX_INT)]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,16}$")]
Key = Annotated[str, StringConstraints(min_length=1, max_length=220)]
# A metric, or a formula behind an equals sign.
Name = Annotated[str, StringConstraints(min_length=1, max_length=301)]


class BadLayout(ValueError):
    """The layout cannot be kept; the sentence says why."""

    code = "bad_layout"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Settings(Strict):
    """How curves are drawn. `amount` is the weight of the moving average, or the points that the
    running mean takes and the Gaussian's standard deviation has."""

    x: Key | None = None
    log_x: bool | None = None
    log_y: bool | None = None
    smooth: Literal["none", "ema", "mean", "gaussian"] | None = None
    amount: Annotated[float, Field(ge=0, le=500, allow_inf_nan=False)] | None = None
    group: Annotated[list[Key], Field(max_length=4)] | None = None
    spread: Spread | None = None
    clip: bool | None = None


class Panel(Strict):
    """One panel. Curves and media have `names`; the other kinds have `fields` of the run table."""

    id: Id
    kind: Literal[
        "curves", "scatter", "contour", "parallel", "bars", "importance", "media", "histogram"
    ] = "curves"
    title: Annotated[str, StringConstraints(max_length=120)] = ""
    section: Annotated[str, StringConstraints(max_length=80)] = ""
    width: Annotated[int, Field(ge=2, le=COLUMNS)] = 4
    height: Annotated[int, Field(ge=3, le=20)] = 6
    names: Annotated[list[Name], Field(max_length=12)] = []
    fields: Annotated[list[Key], Field(max_length=16)] = []
    settings: Settings = Settings()


class Layout(Strict):
    version: Literal[1] = VERSION
    page: Settings = Settings()
    # The step at which a run's media are shown whatever the slider says, by the run's number.
    pins: Annotated[dict[Number, Step], Field(max_length=MOST_PINS)] = {}
    panels: Annotated[list[Panel], Field(max_length=MOST_PANELS)] = []
    folded: Annotated[
        list[Annotated[str, StringConstraints(max_length=80)]], Field(max_length=200)
    ] = []


def checked(content: Any) -> Layout:
    """Return the layout that this is; raise BadLayout with the first thing that is wrong."""
    try:
        layout = Layout.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the layout"
        raise BadLayout(f"This layout cannot be kept: {place}: {first['msg']}.") from error
    if len({panel.id for panel in layout.panels}) < len(layout.panels):
        raise BadLayout("This layout cannot be kept: two panels have the same id.")
    return layout


def default(names: Sequence[str], media: Sequence[MediaName] = ()) -> Layout:
    """Return a panel for each metric: losses first, then media, then in sections by what stands
    before the slash. What would stand alone in its section stands among all others."""
    ordered = sorted(names, key=_rank)[:MOST_AT_FIRST]
    sizes = Counter(_prefix(name) for name in ordered if not compare.is_loss(name))
    sections: dict[str, list[str]] = {}
    for name in ordered:
        sections.setdefault(_section_of(name, sizes), []).append(name)
    placed = [(section, name) for section, members in sections.items() for name in members]
    curves = [
        Panel(id=f"m{n}", names=[name], section=section, width=_width(len(sections[section])))
        for n, (section, name) in enumerate(placed)
    ]
    first = sum(panel.section == LOSS for panel in curves)
    return Layout(panels=[*curves[:first], *_of_media(media), *curves[first:]])


def _of_media(media: Sequence[MediaName]) -> list[Panel]:
    """Return a panel for each name, in the order of KINDS: what is looked at comes first."""
    ordered = sorted(media, key=lambda one: (KINDS.index(one.kind), one.name))
    return [
        Panel(
            id=f"i{n}",
            kind="histogram" if one.kind == "histogram" else "media",
            names=[one.name],
            section=MEDIA,
            width=6,
            height=7,
        )
        for n, one in enumerate(ordered[:MEDIA_AT_FIRST])
    ]


def _section_of(name: str, sizes: Counter[str]) -> str:
    if compare.is_loss(name):
        return LOSS
    prefix = _prefix(name)
    return prefix if prefix and sizes[prefix] > 1 else ALL_OTHERS


def _prefix(name: str) -> str:
    prefix, slash, _ = name.partition("/")
    return prefix[:80] if slash else ""


def _width(members: int) -> int:
    """Return how many columns fill the rows of a section."""
    return {1: 6, 2: 6, 4: 3, 8: 3}.get(members, 4)


def _rank(name: str) -> tuple[int, str]:
    """Order metrics by what is looked at: loss, what the model can, all else, the machine."""
    if name.startswith("system/"):
        return (3, name)
    if compare.is_loss(name):
        return (0, name)
    if name.startswith("control/") or "accuracy" in name:
        return (1, name)
    return (2, name)
