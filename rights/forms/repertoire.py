"""Forms of works, recordings and their parts, releases, credits and splits."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from django import forms
from django.db import transaction
from django.utils.html import format_html

from portal.models import User
from rights.catalogue import catalogue, derivations, sound_questions
from rights.forms.base import DateInput, VerbForm
from rights.forms.picks import PickField, PicksField
from rights.models import (
    Credit,
    Party,
    Recording,
    RecordingRelation,
    Release,
    RoleCode,
    SoundQuestion,
    Stem,
    Work,
)

SPLIT_ROWS = 8
FILE_HELP = "WAV, FLAC, MP3 or Ogg, mono or stereo. Kept exactly as you send it."


class WorkForm(VerbForm):
    title = forms.CharField(max_length=300)
    iswc = forms.CharField(
        label="ISWC", required=False, max_length=20, help_text="Such as T-034.524.680-1."
    )
    mbid = forms.CharField(
        label="MusicBrainz work id", required=False, max_length=80, help_text="Or its address."
    )

    def save(self, *, by: User) -> Work:
        return catalogue.add_work(by=by, **self.cleaned_data)


class UploadForm(VerbForm):
    """A recording with its file, or announced by its data alone."""

    file = forms.FileField(
        label="Audio file",
        required=False,
        allow_empty_file=True,
        help_text=f"{FILE_HELP} Without one the recording is announced: its holders can be asked, "
        "and nothing uses it until its file is here.",
    )
    title = forms.CharField(max_length=300)
    isrc = forms.CharField(
        label="ISRC", required=False, max_length=20, help_text="Such as US-SKG-19-12345."
    )
    artist = PickField(
        "party", required=False, label="Main artist", help_text="Empty: credit it later."
    )
    works = PicksField(
        "work",
        required=False,
        label="Works in it",
        help_text="The compositions that are played, if they are here already: title, ISWC or "
        "number, one a line.",
    )
    new_work = forms.CharField(
        max_length=300, required=False, label="Or a new work", help_text="The composition's title."
    )
    genre = forms.CharField(max_length=60, required=False)
    tempo = forms.IntegerField(
        min_value=20, max_value=400, required=False, help_text="Beats per minute."
    )
    key = forms.CharField(max_length=20, required=False, help_text="Such as A minor.")

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Lead to the recording whose ISRC was typed, where it waits for this very file."""
        with super().refusals():
            try:
                yield
            except catalogue.Announced as error:
                address = f"{error.recording.get_absolute_url()}#file"
                link = format_html('{} <a href="{}">Go there</a>', str(error), address)
                self.add_error("isrc", link)

    def save(self, *, by: User) -> Recording:
        """Enter all of it or nothing: a refused file leaves no work and no credit behind. The file
        is decoded and stored before the transaction, so that nobody else's write waits for it."""
        data = self.cleaned_data
        if (file := data["file"]) is None:
            return self._enter(by, None)
        stored = catalogue.store_audio(
            file=file, filename=file.name, title=data["title"], isrc=data["isrc"]
        )
        return self._enter(by, stored)

    @transaction.atomic
    def _enter(self, by: User, stored: catalogue.Stored | None) -> Recording:
        data = self.cleaned_data
        works = list(data["works"])
        if data["new_work"]:
            works.append(catalogue.add_work(by=by, title=data["new_work"]))
        tags = {name: data[name] for name in ("genre", "tempo", "key") if data[name]}
        details = {"title": data["title"], "isrc": data["isrc"], "works": works, "tags": tags}
        if stored is None:
            recording = catalogue.announce_recording(by=by, **details)
        else:
            recording = catalogue.enter_recording(by=by, stored=stored, **details)
        if data["artist"]:
            catalogue.add_credit(
                by=by, subject=recording, party=data["artist"], role=RoleCode.MAIN_ARTIST
            )
        return recording


class FileForm(VerbForm):
    file = forms.FileField(label="Audio file", allow_empty_file=True, help_text=FILE_HELP)

    def save(self, *, by: User, recording: Recording) -> Recording:
        file = self.cleaned_data["file"]
        return catalogue.attach_audio(by=by, recording=recording, file=file, filename=file.name)


class StemForm(VerbForm):
    part = forms.ChoiceField(choices=Stem.Part.choices)
    name = forms.CharField(
        max_length=100, required=False, help_text="Such as Lead vocals. Empty: the part's name."
    )
    file = forms.FileField(label="Audio file", allow_empty_file=True, help_text=FILE_HELP)

    def save(self, *, by: User, recording: Recording) -> Stem:
        data = self.cleaned_data
        return catalogue.add_stem(by=by, recording=recording, filename=data["file"].name, **data)


class ReleaseForm(VerbForm):
    title = forms.CharField(max_length=300)
    upc = forms.CharField(
        label="UPC or EAN", required=False, max_length=20, help_text="Such as 036000291452."
    )
    grid = forms.CharField(
        label="GRid", required=False, max_length=25, help_text="Such as A1-2425G-ABC1234002-M."
    )
    label = PickField("party", required=False, help_text="Who releases it.")
    released_on = forms.DateField(widget=DateInput, required=False)
    tracks = PicksField(
        "recording",
        required=False,
        help_text="In their order: title, ISRC or number, one a line.",
    )

    def save(self, *, by: User) -> Release:
        return catalogue.add_release(by=by, **self.cleaned_data)


class CreditForm(VerbForm):
    party = PickField("party")
    role = forms.ChoiceField(choices=RoleCode.choices)
    user_defined = forms.CharField(
        max_length=60,
        required=False,
        label="Which other role",
        help_text="For “Another role” alone, such as Field recordist.",
    )
    instrument = forms.CharField(max_length=100, required=False)
    display_text = forms.CharField(
        max_length=200,
        required=False,
        label="Wording",
        help_text="How this credit is written, where it is not the usual: “with strings by …”.",
    )

    def save(self, *, by: User, subject: Recording | Work) -> Credit:
        return catalogue.add_credit(by=by, subject=subject, **self.cleaned_data)


class AttachForm(VerbForm):
    work = PickField("work", help_text="Title, ISWC or number.")


class SplitForm(VerbForm):
    """Rows of a holder and a share in per cent; empty rows are ignored."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for number in range(1, SPLIT_ROWS + 1):
            self.fields[f"party_{number}"] = PickField(
                "party", required=False, label=f"Holder {number}"
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
                if not self.errors.get(f"party_{number}"):
                    self.add_error(f"share_{number}", "A row needs a holder and a share.")
            elif party in lines:
                self.add_error(f"party_{number}", f"{party} stands here twice.")
            else:
                lines[party] = int(share * 10_000)
        return data | {"lines": lines}


class RelationForm(VerbForm):
    """What a recording is derived from."""

    kind = forms.ChoiceField(label="This recording", choices=RecordingRelation.Kind.choices)
    source = PickField("recording", label="The other recording")
    note = forms.CharField(max_length=300, required=False, help_text="How it is known.")

    def save(self, *, by: User, recording: Recording) -> RecordingRelation:
        return derivations.add_relation(by=by, recording=recording, **self.cleaned_data)


class SoundAnswerForm(VerbForm):
    answer = forms.ChoiceField(
        label="The later recording",
        choices=SoundQuestion.Answer.choices,
        widget=forms.RadioSelect,
        help_text="Nothing is chosen for you: listen to both.",
    )
    note = forms.CharField(
        max_length=300, required=False, help_text="What you heard; it is kept with the answer."
    )

    def save(self, *, by: User, question: SoundQuestion) -> SoundQuestion:
        return sound_questions.answer(question, by=by, **self.cleaned_data)
