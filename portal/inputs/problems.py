"""What is wrong with a form, in one list above it: each line leads to its field."""

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
    found = [Problem(str(text)) for text in form.non_field_errors()]
    for field in form:
        ident = "" if field.is_hidden else _ident(field)
        found += [Problem(f"{field.label}: {text}", ident) for text in field.errors]
    return found


def _ident(field: BoundField) -> str:
    """Return the id of the field, or of the first of its boxes: they have no id together."""
    widget = field.field.widget
    grouped = isinstance(widget, ChoiceWidget) and widget.input_type in {"checkbox", "radio"}
    return f"{field.auto_id}_0" if grouped else field.auto_id
