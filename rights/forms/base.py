"""What the rights forms share: refusals beside fields, and fields that are easy to fill in."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, time
from types import MappingProxyType
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from audio.decoding import BadAudio
from backline import bounds
from portal.confirmation import PreviewChanged
from portal.endings import Unwritable
from portal.inputs.forms import Form
from portal.storage import TooLarge
from rights import territories
from rights.errors import Refused
from rights.identifiers import BadIdentifier

# Headings, each with the names of the fields under it.
Groups = tuple[tuple[str, tuple[str, ...]], ...]


# Tells holders, where they give a reason for ending something, who reads it.
HOLDERS_REASON = "It is kept with your permission. The lab reads it; other artists do not."


class VerbForm(Form):
    """A form for one verb: what the verb refuses becomes an error beside its field.

    `GROUPS` are headings with the names of the fields under them; without any the page shows
    the fields one after the other.
    """

    GROUPS: Groups = ()
    # From the names that verbs give in refusals to the fields' names, where they differ.
    BESIDE: Mapping[str, str] = MappingProxyType({})

    @contextmanager
    def refusals(self) -> Iterator[None]:
        try:
            yield
        except (Refused, BadIdentifier) as error:
            field = self.BESIDE.get(error.field or "", error.field)
            self.add_error(field if field in self.fields else None, str(error))
        except (BadAudio, TooLarge) as error:
            self.add_error("file", str(error))
        except PreviewChanged as error:
            self.add_error(None, ValidationError(str(error), code="changed"))
        except Unwritable as error:
            self.add_error(None, str(error))

    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        groups = [
            (title, [name for name in names if name in self.fields]) for title, names in self.GROUPS
        ]
        return [(title, [self[name] for name in names]) for title, names in groups if names]


class ReasonForm(VerbForm):
    reason = forms.CharField(
        max_length=300, help_text="It is kept and shown wherever this has an effect."
    )


class DateInput(forms.DateInput):
    """The browser's own date picker, which takes ISO dates."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class MomentInput(forms.DateTimeInput):
    """The browser's own date and time picker, in UTC; an invalid moment stays as it was typed."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(attrs={"step": "any"})

    def format_value(self, value: Any) -> str | None:
        try:
            moment = MomentField().to_python(value)
        except ValidationError:
            return str(value)
        if moment is None:
            return None
        text = moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
        return text.removesuffix(".000").removesuffix(":00")


class MomentField(forms.DateTimeField):
    """A day, or a day with a time, in UTC. A day alone means its end."""

    widget = MomentInput

    def to_python(self, value: Any) -> datetime | None:
        text = str(value or "").strip()
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            day = forms.DateField().clean(text)
            return datetime.combine(day, time(23, 59, 59), UTC)
        try:
            moment = datetime.fromisoformat(text) if text else None
        except ValueError as error:
            raise ValidationError("Write a day and a time, such as 2026-03-03T12:00.") from error
        if moment is None:
            return None
        try:
            bounds.check_moment(moment, "The moment")
        except bounds.NotStorable as error:
            raise ValidationError(str(error)) from error
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class ListInput(forms.TextInput):
    """One line of text for several values; values that are sent separately are joined."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> str | None:  # noqa: ARG002
        values = data.getlist(name) if hasattr(data, "getlist") else [data.get(name)]
        return ", ".join(str(value) for value in values if value)


class NamesField(forms.CharField):
    """Names separated by commas, as a list."""

    widget = ListInput

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> Any:
        names = (name.strip() for name in re.split(r"[,;\n]", super().clean(value)))
        return list(dict.fromkeys(name for name in names if name))


class PlacesField(NamesField):
    """The world, or countries by name or code, as a list of codes."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            names = territories.names()
            return ", ".join(str(names.get(code, code)) for code in value)
        return value

    def clean(self, value: Any) -> list[str]:
        by_name = {name.lower(): code for code, name in territories.names().items()}
        codes = []
        for typed in super().clean(value):
            code = (
                typed.upper() if territories.is_known(typed.upper()) else by_name.get(typed.lower())
            )
            if code is None and typed.lower() == territories.WORLD:
                code = territories.WORLD
            if code is None:
                raise ValidationError(
                    f"“{typed}” is no country of the list. Write a name such as Germany, a code "
                    "such as DE, or The world."
                )
            codes.append(code)
        return codes


def checkboxes(choices: Sequence[tuple[str, str]], **kwargs: Any) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(choices=choices, widget=forms.CheckboxSelectMultiple, **kwargs)
