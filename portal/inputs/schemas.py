"""The types of the API's parameters: each has its bounds, which the schema states."""

from typing import Annotated

from ninja import Form, Path, Query, Schema
from ninja.pagination import LimitOffsetPagination
from pydantic import Field

from backline import bounds
from portal.inputs.parameters import LONGEST

Limit = Annotated[int, Query(ge=1, le=200, description="Rows of this page.")]
# Low enough that the end of the page is a number for the database too.
LAST_OFFSET = 2**62
Offset = Annotated[int, Query(ge=0, le=LAST_OFFSET, description="Rows before this page.")]
RowNumber = Annotated[int, Query(ge=0, le=bounds.MAX_INT)]
PathNumber = Annotated[int, Path(ge=0, le=bounds.MAX_INT)]
Step = Annotated[int, Query(ge=bounds.MIN_INT, le=bounds.MAX_INT)]
Words = Annotated[str, Query(max_length=LONGEST)]
# The JSON that comes with a file, in a form; escaped it is longer than its value.
Described = Annotated[str, Form(max_length=8 * bounds.MAX_JSON_BYTES)]


class Filter(bounds.Bounded, Schema):
    """Parameters that belong together."""


class Paged(LimitOffsetPagination):
    """Pages by `limit` and `offset`, which no database refuses."""

    class Input(Schema):
        limit: int = Field(100, ge=1, le=10_000, description="Rows of this page.")
        offset: int = Field(0, ge=0, le=LAST_OFFSET, description="Rows before this page.")
