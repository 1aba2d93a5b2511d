"""What is wrong with a form, in one list above it: each line leads to its field."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.forms import BaseForm, BoundField
from django.forms.widgets import ChoiceWidget


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and the id of the field to mend; without a field, an empty id."""

    text: str
    ident: str = ""


def of_form(form: BaseForm) -> list[Problem]:
    """Return what is wrong with a form: as a whole first, then in the order of its fields."""
    return [*of_whole(form), *of_fields(form, form.fields)]


def of_whole(form: BaseForm) -> list[Problem]:
    """Return what is wrong with no field of its own."""
    return [Problem(str(text)) for text in form.non_field_errors()]


def of_fields(form: BaseForm, names: Iterable[str]) -> list[Problem]:
    """Return what is wrong with these fields, in this order."""
    found = []
    for field in (form[name] for name in names):
        ident = "" if field.is_hidden else _ident(field)
        found += [Problem(_named(str(field.label), str(text)), ident) for text in field.errors]
    return found


def of_page(values: Iterable[object]) -> bool:
    """Return whether a page that is made of these values says that something was not accepted."""
    return any(
        value.is_bound and bool(value.errors)
        if isinstance(value, BaseForm)
        else isinstance(value, list) and bool(value) and isinstance(value[0], Problem)
        for value in values
    )


def _named(label: str, text: str) -> str:
    """Return the sentence with the name of the field in front, unless it begins with that."""
    begins = re.match(rf"(the |this |your )?{re.escape(label)}\b", text, re.IGNORECASE)
    return text if label and begins else f"{label}: {text}"


def _ident(field: BoundField) -> str:
    """Return the id of the field, or of the first of its boxes: they have no id together."""
    widget = field.field.widget
    grouped = isinstance(widget, ChoiceWidget) and widget.input_type in {"checkbox", "radio"}
    return f"{field.auto_id}_0" if grouped else field.auto_id
