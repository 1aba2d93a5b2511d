"""Fields that name one row out of a million by name, code or number, with suggestions.

A list to choose from would be as long as the catalogue. What is typed is looked up when the form
is sent; a text that fits several rows is refused with their numbers.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from portal.inputs import parameters
from portal.inputs.text import matching, matching_code
from rights.models import Agreement, Party, Recording, Work

MAX_SUGGESTIONS = 10
MAX_LENGTH = 400
# Larger than any primary key, and still an integer to every database.
MAX_PK = 2**62


@dataclass(frozen=True)
class Kind:
    """How rows of one model are found. `codes` are identifiers, stored without separators."""

    model: type[Model]
    word: str
    names: tuple[str, ...]
    codes: tuple[str, ...] = ()

    def rows(self) -> "QuerySet[Model]":
        return self.model._default_manager.all()

    def named(self, text: str, lookup: str) -> "QuerySet[Model]":
        """Return the rows whose name or code is `text` (`iexact`) or contains it (`icontains`)."""
        condition = matching(text, *self.names, lookup=lookup)
        condition |= matching_code(text, *self.codes, lookup=lookup)
        return self.rows().filter(condition).distinct()

    def suggest(self, text: str) -> list[str]:
        text = text.strip()[:MAX_LENGTH]
        return (
            [label(row) for row in self.named(text, "icontains")[:MAX_SUGGESTIONS]] if text else []
        )

    def find(self, text: str) -> Model:
        """Return the row that is meant. Raises ValidationError if none or several could be."""
        text = text.strip()
        if len(text) > MAX_LENGTH:
            raise ValidationError(f"“{text[:40]}…” is longer than any name here.")
        match = re.search(r"#([0-9]+)$", text)
        if match:
            return self._numbered(int(match.group(1)), text)
        rows = list(self.named(text, "iexact")[: MAX_SUGGESTIONS + 1])
        if not rows and text.isdecimal():
            return self._numbered(int(text), text)
        if len(rows) == 1:
            return rows[0]
        if rows:
            raise ValidationError(
                f"More than one {self.word} is called “{text}”; add the number: {_listed(rows)}."
            )
        similar = list(self.named(text, "icontains")[:3])
        hint = f" Did you mean {_listed(similar)}?" if similar else ""
        raise ValidationError(f"There is no {self.word} “{text}”.{hint}")

    def _numbered(self, pk: int, text: str) -> Model:
        row = self.rows().filter(pk=min(pk, MAX_PK)).first()
        if row is None:
            raise ValidationError(f"There is no {self.word} “{text}”.")
        return row


KINDS = {
    "party": Kind(Party, "party", ("name", "credited_as"), ("identifiers__value",)),
    "recording": Kind(Recording, "recording", ("title",), ("isrc",)),
    "work": Kind(Work, "work", ("title",), ("iswc",)),
    "agreement": Kind(Agreement, "agreement", ("title", "counterparty__name")),
}


def label(row: Model) -> str:
    """Return the row's name and number, as `find` reads them."""
    return f"{row} #{row.pk}"


def _listed(rows: Iterable[Model]) -> str:
    return ", ".join(label(row) for row in rows)


class PickInput(forms.TextInput):
    """A line of text with a list of suggestions, which the page fetches during typing."""

    def __init__(self, kind: str) -> None:
        super().__init__(attrs={"autocomplete": "off"})
        self.kind = kind
        # What is suggested before anything is typed.
        self.suggestions: list[str] = []

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        merged = dict(attrs or {})
        list_id = f"{merged.get('id', name)}_found"
        merged |= {
            "list": list_id,
            "hx-get": reverse("rights:find", args=[self.kind]),
            "hx-trigger": "input changed delay:200ms",
            "hx-target": f"#{list_id}",
        }
        field = super().render(name, value, merged, renderer)
        options = format_html_join(
            "", '<option value="{}">', ((text,) for text in self.suggestions)
        )
        return format_html('{}<datalist id="{}">{}</datalist>', field, list_id, options)


class PickField(forms.CharField):
    """One row of a kind; None if the field is optional and empty."""

    def __init__(self, kind: str, **kwargs: Any) -> None:
        super().__init__(widget=PickInput(kind), **kwargs)
        self.kind = KINDS[kind]

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Model):
            return label(value)
        if number := parameters.number(str(value or "")):
            row = self.kind.rows().filter(pk=number).first()
            return label(row) if row else value
        return value

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        return self.kind.find(text) if text else None


class PicksInput(forms.Textarea):
    """One line per value; values that are sent separately become lines too."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> str:  # noqa: ARG002
        values = data.getlist(name) if hasattr(data, "getlist") else [data.get(name) or ""]
        return "\n".join(str(value) for value in values)


class PicksField(forms.CharField):
    """Several rows of a kind, one per line, in their order."""

    MOST = 200

    def __init__(self, kind: str, **kwargs: Any) -> None:
        super().__init__(widget=PicksInput(attrs={"rows": 4}), **kwargs)
        self.kind = KINDS[kind]

    def clean(self, value: Any) -> Any:
        lines = [line for line in super().clean(value).splitlines() if line.strip()]
        if len(lines) > self.MOST:
            raise ValidationError(f"At most {self.MOST} lines go at once.")
        rows_by_pk: dict[int, Model] = {}
        errors: list[ValidationError] = []
        for line in lines:
            try:
                row = self.kind.find(line)
            except ValidationError as error:
                errors.append(error)
            else:
                rows_by_pk[row.pk] = row
        if errors:
            raise ValidationError(errors)
        return list(rows_by_pk.values())
