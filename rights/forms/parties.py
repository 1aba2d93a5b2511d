"""Forms of parties, their identifiers and members, and of mandates."""

from types import MappingProxyType
from typing import Any

from django import forms

from portal.inputs.forms import RowsField
from portal.models import Role, User
from rights.forms.base import DateInput, PlacesField, VerbForm, checkboxes
from rights.forms.picks import PickField
from rights.models import GroupMember, Mandate, Party, PartyIdentifier, RightType, Scheme
from rights.parties import members, parties


class PeopleField(RowsField):
    """People who decide for the party, with names: a bare log-in could be anybody's."""

    def label_from_instance(self, obj: User) -> str:
        return f"{obj.display_name} ({obj.username})"


class DetailsForm(VerbForm):
    """The party's details; its identifiers are added and removed one by one."""

    name = forms.CharField(max_length=200)
    kind = forms.ChoiceField(choices=Party.Kind.choices)
    credited_as = forms.CharField(
        max_length=200, required=False, help_text="Wording on credits, if it is not the name."
    )
    contact = forms.CharField(label="E-mail", required=False, help_text="Never on public pages.")
    people = PeopleField(
        User.objects.none(),
        required=False,
        label="Who speaks for it",
        widget=forms.CheckboxSelectMultiple,
        help_text="People with the role of rightsholder; they see and choose for this party.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Roles are a JSON list, which SQLite cannot search: the few people are filtered in Python.
        holders = [user.pk for user in User.objects.all() if user.has_role(Role.RIGHTSHOLDER)]
        people = self.fields["people"]
        assert isinstance(people, PeopleField)  # noqa: S101 - for the types
        people.queryset = User.objects.filter(pk__in=holders)

    def amend(self, *, by: User, party: Party) -> Party:
        return parties.update_party(by=by, party=party, **self.cleaned_data)


class PartyForm(DetailsForm):
    ipi_name = forms.CharField(label="IPI name number", required=False, max_length=20)
    ipi_base = forms.CharField(label="IPI base number", required=False, max_length=20)
    isni = forms.CharField(label="ISNI", required=False, max_length=25)
    dpid = forms.CharField(label="DPID", required=False, max_length=25)
    mbid = forms.CharField(label="MusicBrainz artist id", required=False, max_length=80)
    field_order = ("name", "kind", "credited_as", "contact", *Scheme.values, "people")

    def save(self, *, by: User) -> Party:
        data = dict(self.cleaned_data)
        numbers = {scheme: data.pop(scheme) for scheme in Scheme.values}
        return parties.add_party(by=by, identifiers=numbers, **data)


class IdentifierForm(VerbForm):
    scheme = forms.ChoiceField(label="Kind of number", choices=Scheme.choices)
    value = forms.CharField(label="Number", max_length=80)
    BESIDE = MappingProxyType(dict.fromkeys(Scheme.values, "value"))

    def save(self, *, by: User, party: Party) -> PartyIdentifier | None:
        return parties.add_identifier(by=by, party=party, **self.cleaned_data)


class MemberForm(VerbForm):
    member = PickField("party", label="Person", help_text="Name or number of the person.")
    joined_on = forms.DateField(
        widget=DateInput, required=False, label="Joined on", help_text="Empty: not known."
    )
    left_on = forms.DateField(
        widget=DateInput, required=False, label="Left on", help_text="Empty: belongs still."
    )

    def save(self, *, by: User, group: Party) -> GroupMember:
        return members.add(by=by, group=group, **self.cleaned_data)


class MandateForm(VerbForm):
    holder = PickField("party", label="Who lets sign", help_text="Name or number of the holder.")
    agent = PickField("party", label="Who signs", help_text="A publisher, label or society.")
    right_types = checkboxes(
        [
            (RightType.COMPOSITION.value, str(RightType.COMPOSITION.label)),
            (RightType.MASTER.value, str(RightType.MASTER.label)),
        ],
        label="For which rights",
        help_text="Name, voice and likeness are for the person alone to allow.",
    )
    places = PlacesField(
        label="Where",
        initial=["world"],
        help_text="The world, or countries by name or code, with commas between them.",
    )
    starts_on = forms.DateField(widget=DateInput, required=False, help_text="Empty: today.")
    ends_on = forms.DateField(
        widget=DateInput, required=False, help_text="Empty: until it is revoked."
    )
    BESIDE = MappingProxyType({"territories": "places"})

    def save(self, *, by: User) -> Mandate:
        filled = {name: value for name, value in self.cleaned_data.items() if value}
        return parties.enter_mandate(by=by, **filled)
