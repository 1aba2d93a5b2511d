"""The bounds of every form, and the portal's own forms.

A form takes nothing that its row could not store (backline/bounds.py), even if its fields set no
bounds: texts have a maximum length, numbers fit a column, and dates lie in the calendar. Texts are
cleaned as everywhere (portal/inputs/text.py) before anything checks them.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, MaxValueValidator, MinValueValidator
from django.utils import timezone

from backline import bounds
from portal.inputs import parameters
from portal.inputs.text import clean_line, clean_prose, unreadable
from portal.models import User

# Numbers that people type are stored in columns of 32 bits.
MAX_NUMBER = 2**31 - 1


class Bounded(forms.BaseForm):
    """Adds to every field the bounds that it lacks, and to texts their cleaning; once, when it is
    first cleaned."""

    _bounded = False

    def full_clean(self) -> None:
        if not self._bounded:
            self._bounded = True
            for field in self.fields.values():
                field.validators += _missing_validators(field)
                if cleaner := _cleaner(field):
                    field.to_python = _after(cleaner, field.to_python)  # type: ignore[method-assign,assignment]
        super().full_clean()


class Form(Bounded, forms.Form):
    """The base of every form here."""


class ModelForm(Bounded, forms.ModelForm):  # type: ignore[type-arg]  # no generic when run
    """The base of every form of one row."""


class RowsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # no generic when run
    """Several rows by their ids. Django would pass ids of any length to the database."""

    def clean(self, value: Any) -> Any:
        for pk in value or ():
            if parameters.number(str(pk)) is None:
                raise ValidationError(
                    self.error_messages["invalid_pk_value"], params={"pk": str(pk)[:40]}
                )
        return super().clean(value)


def _cleaner(field: forms.Field) -> Callable[[str], str] | None:
    """Return how the field's text is cleaned; None for what is no text, or no person's: passwords,
    documents, and what a page hides in itself."""
    if not isinstance(field, forms.CharField) or isinstance(field, forms.JSONField):
        return None
    if not field.strip or isinstance(field.widget, forms.PasswordInput | forms.HiddenInput):
        return None
    return clean_prose if isinstance(field.widget, forms.Textarea) else clean_line


def _after(cleaner: Callable[[str], str], convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `convert` for texts that are cleaned before it."""
    return lambda value: convert(cleaner(value) if isinstance(value, str) else value)


def _missing_validators(field: forms.Field) -> list[Any]:
    match field:
        case forms.ChoiceField() | forms.ModelChoiceField():
            # The field itself refuses what is not a choice.
            return []
        case forms.CharField():
            return [_storable] if field.max_length else [_storable, _prose]
        case forms.IntegerField():
            return [MinValueValidator(-MAX_NUMBER), MaxValueValidator(MAX_NUMBER)]
        case forms.DateField() | forms.DateTimeField():
            return [_in_calendar]
    return []


_prose = MaxLengthValidator(bounds.MAX_PROSE)


def _storable(value: object) -> None:
    # A field that converts its text has checked it already.
    if isinstance(value, str):
        _validate(bounds.check_text, value)
        if sentence := unreadable(value):
            raise ValidationError(sentence)


def _in_calendar(value: date) -> None:
    _validate(bounds.check_moment, value)


def _validate(check: Any, value: Any) -> None:
    try:
        check(value, "This")
    except bounds.NotStorable as error:
        raise ValidationError(str(error), code=error.code) from error


class TokenForm(Form):
    label = forms.CharField(
        label="What it is for",
        max_length=100,
        help_text="For example: notebook on my laptop.",
    )
    days = forms.TypedChoiceField(
        label="Good for",
        coerce=int,
        choices=[(30, "30 days"), (90, "90 days"), (365, "a year"), (0, "until revoked")],
        initial=90,
    )

    def expires_at(self) -> datetime | None:
        days: int = self.cleaned_data["days"]
        return timezone.now() + timedelta(days=days) if days else None


class ProfileForm(ModelForm):
    class Meta:
        model = User
        fields = ["first_name", "last_name", "email"]
