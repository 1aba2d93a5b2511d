"""Forms of the question why a use is allowed or denied, and of an opt-out."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils import timezone

from portal.inputs.forms import Form
from rights import territories
from rights.forms.base import MomentField, VerbForm
from rights.models import Channel, Party, Purpose, Use
from rights.models.vocabulary import use_choices


class WhyForm(Form):
    """What to ask consent about; every field has a default, so a bare URL works too."""

    use = forms.ChoiceField(choices=use_choices, initial=Use.TRAIN_GENERATIVE)
    purpose = forms.ChoiceField(choices=Purpose.choices, initial=Purpose.RESEARCH)
    territory = forms.ChoiceField(initial=territories.WORLD)
    model_family = forms.CharField(max_length=100, initial="backline", required=False)
    model_version = forms.IntegerField(min_value=1, max_value=10_000, initial=1)
    product = forms.CharField(max_length=100, required=False, initial="")
    channel = forms.ChoiceField(
        choices=[("", "none"), *Channel.choices], required=False, initial=""
    )
    at = MomentField(required=False, label="On which day, UTC")
    known_at = MomentField(required=False, label="As known on, UTC")
    SCOPE = ("use", "purpose", "territory", "model_family", "model_version", "product", "channel")

    def __init__(self, data: Any = None) -> None:
        values = data or {}
        filled = {name: values.get(name, field.initial) for name, field in self.base_fields.items()}
        super().__init__(filled)
        places = self.fields["territory"]
        assert isinstance(places, forms.ChoiceField)  # noqa: S101 - for the types
        places.choices = list(territories.names().items())

    def clean_known_at(self) -> Any:
        known_at = self.cleaned_data["known_at"]
        if known_at and known_at > timezone.now():
            raise forms.ValidationError("Nobody knows yet what will be known then.")
        return known_at


class OptOutForm(VerbForm):
    """The holder and the use of an opt-out; neither is preselected, not even if there is only one.

    `preview_only` asks what the opt-out would end, which needs no reason yet.
    """

    use = forms.ChoiceField(label="Which use ends", choices=())
    party = forms.ModelChoiceField(
        Party.objects.none(), label="For whom", empty_label="Choose a holder"
    )
    reason = forms.CharField(
        max_length=300, help_text="It is kept and shown wherever this has an effect."
    )

    def __init__(
        self,
        *args: Any,
        uses: list[Use],
        parties: QuerySet[Party],
        preview_only: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        use, party = self.fields["use"], self.fields["party"]
        assert isinstance(use, forms.ChoiceField)  # noqa: S101 - for the types
        assert isinstance(party, forms.ModelChoiceField)  # noqa: S101
        use.choices = [("", "Choose a use"), *((use.value, use.label) for use in uses)]
        party.queryset = parties
        self.uses = uses
        self.fields["reason"].required = not preview_only

    def chosen(self) -> tuple[Use, Party] | None:
        """Return the use and the holder once both are chosen; the reason may be missing."""
        self.is_valid()
        data = self.cleaned_data
        return (Use(data["use"]), data["party"]) if {"use", "party"} <= set(data) else None
