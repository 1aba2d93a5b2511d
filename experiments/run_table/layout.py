"""How the run table is laid out: query, order, columns with their widths, groups.

A layout is the whole state of the table but for the page and what is chosen. It stands in the
address, so that a link shows the same table to everybody, and in a saved view (saved_views.py).
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, Self, TypeVar, get_args
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

from experiments.models import Run
from experiments.run_table import fields
from portal.inputs.parameters import LONGEST_VALUE, Parameters, number

MAX_COLUMNS = 30
MAX_GROUPS = 4
MIN_WIDTH, MAX_WIDTH = 48, 800
# States that one click leaves out.
HIDEABLE = (Run.State.FAILED, Run.State.CANCELLED)
# Instead of a view: the usual layout, whatever view somebody sees first.
STANDARD = "standard"
# The parameters of an address that make a layout.
NAMES = ("q", "sort", "col", "pin", "width", "as", "best", "group", "hide", "archived", "per")

Format = Literal["", "3", "6", "fixed", "percent", "scientific", "exact"]
Best = Literal["", "min", "max"]
PageSize = Literal[25, 50, 100]
DEFAULT_PAGE_SIZE: PageSize = 50
FORMATS = get_args(Format)
BESTS = get_args(Best)

Choice = TypeVar("Choice")


class Column(BaseModel):
    """One column: `width` in CSS pixels, None for as wide as its content; `best` marks the best
    value of all runs found."""

    model_config = ConfigDict(frozen=True)

    key: str
    pinned: bool = False
    width: Annotated[int, Field(ge=MIN_WIDTH, le=MAX_WIDTH)] | None = None
    format: Format = ""
    best: Best = ""


class Layout(BaseModel):
    """The state of a run table. No columns means the usual ones of the project."""

    model_config = ConfigDict(frozen=True)

    text: str = ""
    sort: str = ""
    columns: tuple[Column, ...] = ()
    groups: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    archived: bool = False
    page_size: PageSize = DEFAULT_PAGE_SIZE

    @classmethod
    def from_parameters(cls, parameters: Parameters) -> Self:
        """Read an address. What makes no sense in it is left out, as elsewhere in addresses."""
        pinned = set(parameters.texts("pin"))
        widths, formats = _pairs(parameters.texts("width")), _pairs(parameters.texts("as"))
        bests = _pairs(parameters.texts("best"))
        keys = [key for value in parameters.texts("col") for key in value.split(",")]
        sort = parameters.text("sort")
        return cls(
            # One that is too long is shown, with the sentence that says so.
            text=parameters.text("q", longest=LONGEST_VALUE),
            sort=sort if _sorts(sort.removeprefix("-")) else "",
            columns=tuple(
                Column(
                    key=key,
                    pinned=key in pinned,
                    width=_width(widths.get(key)),
                    format=_one_of(FORMATS, formats.get(key), ""),
                    best=_one_of(BESTS, bests.get(key), ""),
                )
                for key in _known(keys)[:MAX_COLUMNS]
            ),
            groups=tuple(_known(parameters.texts("group"))[:MAX_GROUPS]),
            hidden=tuple(state for state in HIDEABLE if state in parameters.texts("hide")),
            archived="archived" in parameters,
            page_size=_one_of(get_args(PageSize), parameters.number("per"), DEFAULT_PAGE_SIZE),
        )

    def pairs(self) -> list[tuple[str, str]]:
        """Return the names and values of its address; none for the usual layout."""
        pairs = [("q", self.text), ("sort", self.sort)]
        pairs += [("col", column.key) for column in self.columns]
        for column in self.columns:
            pairs += [
                ("pin", column.key if column.pinned else ""),
                ("width", f"{column.key}:{column.width}" if column.width else ""),
                ("as", f"{column.key}:{column.format}" if column.format else ""),
                ("best", f"{column.key}:{column.best}" if column.best else ""),
            ]
        pairs += [("group", key) for key in self.groups]
        pairs += [("hide", state) for state in self.hidden]
        pairs += [("archived", "1" if self.archived else "")]
        pairs += [("per", str(self.page_size) if self.page_size != DEFAULT_PAGE_SIZE else "")]
        return [(name, value) for name, value in pairs if value]

    def address(self, view: int | None = None) -> str:
        """Return it as a query string that shows this layout whatever view comes first; `view`
        names the saved view that it began as."""
        pairs: list[tuple[str, object]] = [*self.pairs()]
        if view or not pairs:
            pairs.append(("view", view or STANDARD))
        # Of a view alone its own layout would be shown.
        if view and len(pairs) == 1:
            pairs.insert(0, ("q", ""))
        return urlencode(pairs)


def _sorts(key: str) -> bool:
    # Groups are also sorted by their runs, and by one figure of a number: `metric.loss:mean`.
    return key == "runs" or fields.find(key.partition(":")[0]) is not None


def _known(keys: Iterable[str]) -> list[str]:
    return [key for key in dict.fromkeys(keys) if fields.find(key)]


def _pairs(values: Iterable[str]) -> Mapping[str, str]:
    """Return `key:value` by key; a key may have colons of its own."""
    return {key: value for key, _, value in (text.rpartition(":") for text in values) if key}


def _width(text: str | None) -> int | None:
    width = number(text)
    return None if width is None else min(max(width, MIN_WIDTH), MAX_WIDTH)


def _one_of(choices: tuple[Choice, ...], value: object, default: Choice) -> Choice:
    return next((choice for choice in choices if choice == value), default)
