"""What this room's pages ask for. Rules live in the verbs; refusals land beside fields."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from django import forms
from django.db import transaction
from django.utils import timezone

from portal.models import Role, User
from portal.storage import TooLarge
from rights import agreements, catalogue, parties, splits, territories
from rights.identifiers import BadIdentifier
from rights.intake import BadAudio
from rights.models import (
    Agreement,
    Credit,
    Grant,
    Party,
    Purpose,
    Recording,
    RightType,
    Scheme,
    SplitSheet,
    Use,
    Work,
)
from rights.refused import Refused

SPLIT_ROWS = 8


class VerbForm(forms.Form):
    """A form around one verb: what the verb refuses becomes an error beside its field."""

    @contextmanager
    def refusals(self) -> Iterator[None]:
        try:
            yield
        except (Refused, BadIdentifier) as error:
            self.add_error(error.field if error.field in self.fields else None, str(error))
        except (BadAudio, TooLarge) as error:
            self.add_error("file", str(error))


class DateInput(forms.DateInput):
    """The browser's own calendar, which reads dates as the standard writes them."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class PartyForm(VerbForm):
    name = forms.CharField(max_length=200)
    kind = forms.ChoiceField(choices=Party.Kind.choices)
    credited_as = forms.CharField(
        max_length=200, required=False, help_text="Wording on credits, if it is not the name."
    )
    contact = forms.CharField(label="E-mail", required=False, help_text="Never on public pages.")
    ipi_name = forms.CharField(label="IPI name number", required=False, max_length=20)
    ipi_base = forms.CharField(label="IPI base number", required=False, max_length=20)
    isni = forms.CharField(label="ISNI", required=False, max_length=25)
    dpid = forms.CharField(label="DPID", required=False, max_length=25)
    mbid = forms.CharField(label="MusicBrainz artist id", required=False, max_length=80)
    people = forms.ModelMultipleChoiceField(
        User.objects.none(),
        required=False,
        label="Who speaks for it",
        help_text="People with the role of rightsholder; they see and choose for this party.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Roles are a JSON list, which SQLite cannot search: the few people are read and sifted.
        holders = [u.pk for u in User.objects.all() if u.has_role(Role.RIGHTSHOLDER)]
        people = self.fields["people"]
        assert isinstance(people, forms.ModelMultipleChoiceField)  # noqa: S101 - for the types
        people.queryset = User.objects.filter(pk__in=holders)

    def save(self, *, by: User) -> Party:
        data = dict(self.cleaned_data)
        numbers = {scheme: data.pop(scheme) for scheme in Scheme.values}
        return parties.add_party(by=by, identifiers=numbers, **data)


class WorkForm(VerbForm):
    title = forms.CharField(max_length=300)
    iswc = forms.CharField(
        label="ISWC", required=False, max_length=20, help_text="Such as T-034.524.680-1."
    )

    def save(self, *, by: User) -> Work:
        return catalogue.add_work(by=by, **self.cleaned_data)


class UploadForm(VerbForm):
    file = forms.FileField(
        label="Audio file",
        allow_empty_file=True,
        help_text="WAV, FLAC, MP3 or Ogg, mono or stereo. Kept exactly as you send it.",
    )
    title = forms.CharField(max_length=300)
    isrc = forms.CharField(
        label="ISRC", required=False, max_length=20, help_text="Such as US-SKG-19-12345."
    )
    artist = forms.ModelChoiceField(
        Party.objects.all(), required=False, label="Main artist", empty_label="Add later"
    )
    works = forms.ModelMultipleChoiceField(
        Work.objects.all(),
        required=False,
        label="Works in it",
        help_text="The compositions that are played, if they are here already.",
    )
    new_work = forms.CharField(
        max_length=300, required=False, label="Or a new work", help_text="The composition's title."
    )
    genre = forms.CharField(max_length=60, required=False)
    tempo = forms.IntegerField(
        min_value=20, max_value=400, required=False, help_text="Beats per minute."
    )
    key = forms.CharField(max_length=20, required=False, help_text="Such as A minor.")

    @transaction.atomic
    def save(self, *, by: User) -> Recording:
        """All of it or none: a refused file leaves no work and no credit behind."""
        data = self.cleaned_data
        works = list(data["works"])
        if data["new_work"]:
            works.append(catalogue.add_work(by=by, title=data["new_work"]))
        recording = catalogue.add_recording(
            by=by,
            file=data["file"],
            filename=data["file"].name,
            title=data["title"],
            isrc=data["isrc"],
            works=works,
            tags={name: data[name] for name in ("genre", "tempo", "key") if data[name]},
        )
        if data["artist"]:
            catalogue.add_credit(
                by=by, subject=recording, party=data["artist"], role=Credit.RoleCode.MAIN_ARTIST
            )
        return recording


class CreditForm(VerbForm):
    party = forms.ModelChoiceField(Party.objects.all())
    role = forms.ChoiceField(choices=Credit.RoleCode.choices)
    instrument = forms.CharField(max_length=100, required=False)

    def save(self, *, by: User, subject: Recording | Work) -> Credit:
        return catalogue.add_credit(by=by, subject=subject, **self.cleaned_data)


class AttachForm(VerbForm):
    work = forms.ModelChoiceField(Work.objects.all())

    def save(self, *, by: User, recording: Recording) -> None:
        catalogue.attach_work(by=by, recording=recording, work=self.cleaned_data["work"])


class SplitForm(VerbForm):
    """Rows of a holder and a share in per cent; empty rows are left out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for number in range(1, SPLIT_ROWS + 1):
            self.fields[f"party_{number}"] = forms.ModelChoiceField(
                Party.objects.all(), required=False, label=f"Holder {number}", empty_label=""
            )
            self.fields[f"share_{number}"] = forms.DecimalField(
                required=False,
                label=f"Share {number}, %",
                min_value=Decimal(0),
                max_value=Decimal(100),
                max_digits=7,
                decimal_places=4,
            )

    def rows(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        numbers = range(1, SPLIT_ROWS + 1)
        return [(self[f"party_{n}"], self[f"share_{n}"]) for n in numbers]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        lines: dict[Party, int] = {}
        for number in range(1, SPLIT_ROWS + 1):
            party, share = data.get(f"party_{number}"), data.get(f"share_{number}")
            if party is None and share is None:
                continue
            if party is None or share is None:
                self.add_error(f"share_{number}", "A row needs a holder and a share.")
            elif party in lines:
                self.add_error(f"party_{number}", f"{party} stands here twice.")
            else:
                lines[party] = int(share * 10_000)
        return data | {"lines": lines}

    def save(self, *, by: User, subject: Recording | Work) -> SplitSheet:
        return splits.propose(by=by, subject=subject, lines=self.cleaned_data["lines"])


class ReasonForm(VerbForm):
    reason = forms.CharField(
        max_length=300, help_text="It is kept and shown wherever this has an effect."
    )


class AgreementForm(VerbForm):
    counterparty = forms.ModelChoiceField(Party.objects.all(), label="With")
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
    document = forms.FileField(required=False, label="Signed paper")

    def save(self, *, by: User) -> Agreement:
        return agreements.sign(by=by, **self.cleaned_data)


class GrantForm(VerbForm):
    """One permission for each chosen use and right, all in the same scope."""

    agreement = forms.ModelChoiceField(Agreement.objects.select_related("counterparty"))
    uses = forms.MultipleChoiceField(
        choices=Use.choices,
        widget=forms.CheckboxSelectMultiple,
        label="For",
        help_text="Each use is a permission of its own and can be ended alone.",
    )
    rights = forms.MultipleChoiceField(
        choices=RightType.choices,
        widget=forms.CheckboxSelectMultiple,
        label="Rights",
        initial=[RightType.COMPOSITION, RightType.MASTER],
    )
    recording = forms.ModelChoiceField(
        Recording.objects.all(), required=False, empty_label="The whole catalogue"
    )
    work = forms.ModelChoiceField(
        Work.objects.all(),
        required=False,
        empty_label="The whole catalogue",
        help_text="For compositions only.",
    )
    purposes = forms.MultipleChoiceField(
        choices=Purpose.choices, widget=forms.CheckboxSelectMultiple, initial=[Purpose.RESEARCH]
    )
    territories = forms.MultipleChoiceField(initial=[territories.WORLD])
    model_family = forms.CharField(
        max_length=100, required=False, help_text="Empty: every model family of the lab."
    )
    starts_on = forms.DateField(widget=DateInput, required=False, help_text="Empty: today.")
    ends_on = forms.DateField(
        widget=DateInput, required=False, help_text="Empty: as long as the agreement."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        places = self.fields["territories"]
        assert isinstance(places, forms.MultipleChoiceField)  # noqa: S101 - for the types
        places.choices = list(territories.names().items())

    @transaction.atomic
    def save(self, *, by: User) -> list[Grant]:
        data = dict(self.cleaned_data)
        uses, rights = data.pop("uses"), data.pop("rights")
        return [
            agreements.draft_grant(by=by, use=use, right_type=right, **data)
            for use in uses
            for right in rights
        ]


class WhyForm(forms.Form):
    """What to ask consent about; every field has a default, so a bare address answers too."""

    use = forms.ChoiceField(choices=Use.choices, initial=Use.TRAIN_GENERATIVE)
    purpose = forms.ChoiceField(choices=Purpose.choices, initial=Purpose.RESEARCH)
    territory = forms.ChoiceField(initial=territories.WORLD)
    model_family = forms.CharField(max_length=100, initial="backline", required=False)
    date = forms.DateField(widget=DateInput, initial=lambda: timezone.now().date())

    def __init__(self, data: Any = None) -> None:
        given = data or {}
        names = ("use", "purpose", "territory", "model_family", "date")
        filled = {
            name: given[name] if name in given else self.base_fields[name].initial for name in names
        }
        super().__init__({k: v() if callable(v) else v for k, v in filled.items()})
        places = self.fields["territory"]
        assert isinstance(places, forms.ChoiceField)  # noqa: S101 - for the types
        places.choices = list(territories.names().items())


class OptOutForm(VerbForm):
    use = forms.ChoiceField(choices=())
    party = forms.ModelChoiceField(Party.objects.none(), label="For", empty_label=None)
    reason = forms.CharField(
        max_length=300, help_text="It is kept and shown wherever this has an effect."
    )

    def __init__(self, *args: Any, uses: list[str], parties: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        use, party = self.fields["use"], self.fields["party"]
        assert isinstance(use, forms.ChoiceField)  # noqa: S101 - for the types
        assert isinstance(party, forms.ModelChoiceField)  # noqa: S101
        use.choices = [(code, Use(code).label) for code in uses]
        party.queryset = parties
