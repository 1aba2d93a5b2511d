"""Forms of agreements, and of the grants under them with their whole scope."""

from typing import Any

from django import forms
from django.db import transaction

from portal.models import User
from rights.forms.base import DateInput, Groups, NamesField, PlacesField, VerbForm, checkboxes
from rights.forms.picks import PickField
from rights.grants import agreements
from rights.models import (
    Agreement,
    Channel,
    Grant,
    Purpose,
    RightType,
    Use,
    WithdrawalPolicy,
)
from rights.models.vocabulary import use_choices


class AgreementForm(VerbForm):
    counterparty = PickField("party", label="With", help_text="Name or number of the party.")
    title = forms.CharField(max_length=200)
    signed_on = forms.DateField(widget=DateInput)
    ends_on = forms.DateField(
        widget=DateInput, required=False, help_text="Empty: until it is ended."
    )
    terms = forms.CharField(
        widget=forms.Textarea,
        required=False,
        help_text="What is paid and how it is credited, in words.",
    )
    withdrawal_policy = forms.ChoiceField(
        choices=WithdrawalPolicy.choices,
        widget=forms.RadioSelect,
        initial=WithdrawalPolicy.RECALL,
        required=False,
        label="What a withdrawal does to what was made",
        help_text="New use ends at once in any case. Fixed with the signature: it holds for every "
        "grant under this agreement.",
    )
    remedy_days = forms.IntegerField(
        min_value=1,
        max_value=730,
        initial=90,
        required=False,
        label="Days to set things right",
        help_text="From a withdrawal until the last task that follows from it is done. Fixed too.",
    )
    document = forms.FileField(required=False, label="Signed paper")

    def save(self, *, by: User) -> Agreement:
        data = dict(self.cleaned_data)
        for name in ("withdrawal_policy", "remedy_days"):
            if not data[name]:
                del data[name]
        return agreements.sign(by=by, **data)


class ScopeForm(VerbForm):
    """The scope of a permission: the terms that a new version can change."""

    purposes = checkboxes(Purpose.choices, initial=[Purpose.RESEARCH])
    territories = PlacesField(
        initial=["world"],
        help_text="The world, or countries by name or code, with commas between them.",
    )
    model_family = forms.CharField(
        max_length=100, required=False, help_text="Empty: every model family of the lab."
    )
    first_version = forms.IntegerField(
        min_value=1,
        max_value=10_000,
        required=False,
        label="First model version",
        help_text="Empty: from the first on.",
    )
    last_version = forms.IntegerField(
        min_value=1,
        max_value=10_000,
        required=False,
        label="Last model version",
        help_text="Empty: all that come. One version alone: the same number twice.",
    )
    products = NamesField(
        max_length=500,
        required=False,
        help_text="With commas between them. Empty: every product.",
    )
    channels = checkboxes(
        Channel.choices,
        required=False,
        help_text="Where outputs may go; for the use “Distribution of outputs” alone.",
    )
    condition = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 2}),
        required=False,
        help_text="What must hold besides. While one stands here nothing is permitted; a new "
        "version without it permits.",
    )
    starts_on = forms.DateField(widget=DateInput, required=False, help_text="Empty: today.")
    ends_on = forms.DateField(
        widget=DateInput, required=False, help_text="Empty: as long as the agreement."
    )

    GROUPS: Groups = (
        ("For what and where", ("purposes", "territories")),
        ("Which model", ("model_family", "first_version", "last_version")),
        ("Which product", ("products", "channels")),
        ("How long, and on what condition", ("starts_on", "ends_on", "condition")),
    )


class GrantForm(ScopeForm):
    """One permission for each chosen use and right, all in the same scope."""

    agreement = PickField("agreement", help_text="Its title, the other side's name or its number.")
    uses = checkboxes(
        use_choices(), help_text="Each use is a permission of its own and can be ended alone."
    )
    rights = checkboxes(RightType.choices, initial=[RightType.COMPOSITION, RightType.MASTER])
    recording = PickField(
        "recording", required=False, help_text="Title, ISRC or number. Empty: the whole catalogue."
    )
    work = PickField("work", required=False, help_text="For compositions only.")
    GROUPS: Groups = (
        ("Under which paper", ("agreement",)),
        ("What is permitted", ("uses", "rights")),
        ("Of which music", ("recording", "work")),
        *ScopeForm.GROUPS,
    )

    @transaction.atomic
    def save(self, *, by: User) -> list[Grant]:
        data = dict(self.cleaned_data)
        uses, rights, channels = data.pop("uses"), data.pop("rights"), data.pop("channels")
        return [
            agreements.draft_grant(
                by=by,
                use=use,
                right_type=right,
                channels=channels if use == Use.DISTRIBUTE else (),
                **data,
            )
            for use in uses
            for right in rights
        ]


class ChangeForm(ScopeForm):
    """The next version of a grant: it starts from the grant's scope, which can be changed."""

    def __init__(self, data: Any = None, *, grant: Grant) -> None:
        terms = {name: getattr(grant, name) for name in self.base_fields}
        # A version starts when it is approved, not when the previous version did.
        super().__init__(data, initial=terms | {"starts_on": None})
        self.grant = grant
        if grant.use != Use.DISTRIBUTE:
            del self.fields["channels"]

    def look(self, *, by: User) -> Grant:
        return agreements.would_change(self.grant, by=by, **self.cleaned_data)

    def save(self, *, by: User) -> Grant:
        return agreements.change(self.grant, by=by, **self.cleaned_data)
