"""Numbers as people write them in a config: true is none."""

from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError


class NoTruthAsNumber(BaseModel):
    """Refuses true and false where a number belongs: pydantic, like Python, takes them for 1 and 0.

    A field that may be a boolean keeps it.
    """

    @field_validator("*", mode="before")
    @classmethod
    def no_truth(cls, value: Any, info: ValidationInfo) -> Any:
        kinds = _kinds(cls.model_fields[info.field_name or ""].annotation)
        items = value if isinstance(value, list) else [value]
        if not {int, float} & kinds or bool in kinds:
            return value
        if any(isinstance(item, bool) for item in items):
            raise PydanticKnownError("float_type" if float in kinds else "int_type")
        return value


def _kinds(annotation: Any) -> set[Any]:
    """Return the types that an annotation is made of: list[int] | None is of int, too."""
    parts = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return _kinds(parts[0])
    return {annotation}.union(*map(_kinds, parts)) if parts else {annotation}
