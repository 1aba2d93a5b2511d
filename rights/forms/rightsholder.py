"""Forms of the holder's own pages: allow a use, end one, choose a statement's period."""

from typing import Any

from django import forms

from portal.inputs.forms import Form
from rights import territories
from rights.forms.base import HOLDERS_REASON, DateInput, VerbForm
from rights.models import Channel, Purpose, Use


class OfferForm(VerbForm):
    """The scope of an offer. Channels are asked for only if the use is distribution of outputs."""

    purposes = forms.MultipleChoiceField(
        label="For",
        choices=Purpose.choices,
        widget=forms.CheckboxSelectMultiple,
        initial=[Purpose.RESEARCH],
    )
    channels = forms.MultipleChoiceField(
        label="Where what is made may go",
        choices=Channel.choices,
        widget=forms.CheckboxSelectMultiple,
    )
    places = forms.MultipleChoiceField(
        label="Countries",
        initial=[territories.WORLD],
        help_text="The whole world, or several countries.",
    )
    ends_on = forms.DateField(
        label="Last day",
        widget=DateInput,
        required=False,
        help_text="Empty: until you end it, or your agreement ends.",
    )

    def __init__(self, *args: Any, use: Use, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        places = self.fields["places"]
        assert isinstance(places, forms.MultipleChoiceField)  # noqa: S101 - for the types
        places.choices = list(territories.names().items())
        if use != Use.DISTRIBUTE:
            del self.fields["channels"]


class EndForm(VerbForm):
    reason = forms.CharField(
        max_length=300,
        label="Your reason",
        help_text=HOLDERS_REASON,
    )


class PeriodForm(Form):
    """The first and last day of a statement, both included."""

    first = forms.DateField(label="From", widget=DateInput, required=False)
    last = forms.DateField(label="To", widget=DateInput, required=False)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        first, last = data.get("first"), data.get("last")
        if first and last and last < first:
            self.add_error("last", "The last day lies before the first.")
        return data
