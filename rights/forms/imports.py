"""Forms of the import pages."""

from base64 import b64decode, b64encode
from typing import Any

from django import forms

from portal.confirmation import Act
from portal.models import User
from rights import identifiers
from rights.errors import Refused
from rights.exchange.importing import jobs
from rights.exchange.importing.columns import FIELDS
from rights.forms import VerbForm
from rights.forms.picks import PickField
from rights.models import ImportJob, Party, Recording, Signal
from rights.tdm import reading, signals, texts


class ImportForm(VerbForm):
    file = forms.FileField(
        allow_empty_file=True,
        help_text="CSV, DDEX ERN 3.4 to 4.3 as XML, our JSON, or a list of ISRC, use, yes or no.",
    )
    format = forms.ChoiceField(
        label="What it is",
        choices=[("", "Find out from the file"), *ImportJob.Format.choices],
        required=False,
    )
    source = forms.CharField(
        label="Whose file",
        max_length=200,
        required=False,
        help_text="Recordings without ISRC are found again by this name and their own. "
        "Left empty: the name of the file.",
    )
    party = PickField(
        "party",
        required=False,
        help_text="Of a list of participation: whose word it is.",
    )
    agreement = PickField(
        "agreement",
        required=False,
        help_text="Of a list of participation: what each yes is given under.",
    )

    def save(self, *, by: User) -> ImportJob:
        data = self.cleaned_data
        return jobs.upload(
            by=by,
            file=data["file"],
            name=data["file"].name,
            format=data["format"],
            source=data["source"],
            party=data["party"],
            agreement=data["agreement"],
        )


class CheckForm(VerbForm):
    """Which column holds what, and what the import may do besides adding."""

    update_titles = forms.BooleanField(
        label="Update titles",
        required=False,
        help_text="Otherwise another title for what is here is a problem.",
    )
    update_tags = forms.BooleanField(label="Update genre, tempo and key", required=False)
    extend = forms.BooleanField(
        label="Add works and artists to recordings that are here",
        required=False,
        help_text="Permission rests until the holders of what is added have given theirs.",
    )
    propose_splits = forms.BooleanField(
        label="Propose a new split where the file has another",
        required=False,
        help_text="It supersedes the one in force at once; its holders are asked.",
    )
    confirmed_on_paper = forms.BooleanField(
        label="The parties have confirmed these splits on paper",
        required=False,
        help_text="You answer for it: each confirmation says that you entered it.",
    )

    def __init__(self, *args: Any, job: ImportJob, header: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.job = job
        choices = [("", "Not in this file"), *((name, name) for name in header if name)]
        for field in FIELDS if header else ():
            self.fields[f"column_{field.name}"] = forms.ChoiceField(
                label=field.words,
                choices=choices,
                required=field.name == "title",
                initial=job.columns.get(field.name, ""),
                help_text=field.hint,
            )
        for name in jobs.FLAGS:
            self.fields[name].initial = job.options.get(name, False)
        self.header = header

    @property
    def columns(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith("column_")]

    @property
    def flags(self) -> list[forms.BoundField]:
        """The import's options; none for a participation list: it adds and changes no recording."""
        if self.job.format == ImportJob.Format.PARTICIPATION:
            return []
        return [self[name] for name in jobs.FLAGS]

    def save(self, *, by: User) -> ImportJob:
        data = self.cleaned_data
        columns = {
            name.removeprefix("column_"): value
            for name, value in data.items()
            if name.startswith("column_") and value
        }
        flags = {name: data[name] for name in jobs.FLAGS}
        return jobs.check(self.job, by=by, columns=columns if self.header else None, **flags)


class SignalForm(VerbForm):
    """What a signal ends is shown before it is noted; meanwhile the page carries the file's
    content, because a browser sends no file twice."""

    file = forms.FileField(
        required=False,
        help_text="A site's tdmrep.json, or the headers or source of a page of it; or a file's "
        "training-mining assertion as JSON: alone, or all that c2patool prints.",
    )
    text = forms.CharField(
        label="Or paste it",
        required=False,
        max_length=texts.MOST_BYTES,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "class": "mono"}),
        help_text="As the tool or the browser shows it, with the lines before and after it.",
    )
    # In Base64, a third longer than the file.
    content = forms.CharField(
        widget=forms.HiddenInput, required=False, max_length=2 * texts.MOST_BYTES
    )
    scheme = forms.ChoiceField(
        label="What it is",
        choices=[
            ("", "Find out from the content"),
            *(
                (scheme.value, scheme.label)
                for scheme in (Signal.Scheme.TDMREP, Signal.Scheme.CAWG)
            ),
        ],
        required=False,
    )
    isrc = forms.CharField(
        label="ISRC",
        required=False,
        max_length=20,
        help_text="Of the recording it speaks of; or choose a party.",
    )
    party = PickField("party", required=False, help_text="Whose site or whole catalogue it is.")
    path = forms.CharField(
        required=False,
        max_length=500,
        label="Path or address",
        help_text="Of a tdmrep.json: where the music is on that site, such as /albums/one.",
    )
    source = forms.CharField(
        label="Where it was read", max_length=300, help_text="An address or a file's name."
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        file, text = data.get("file"), data.get("text")
        if file and text:
            self.add_error("text", "Choose a file or paste its text, not both.")
        elif file:
            self._keep(data, b64encode(file.read(texts.MOST_BYTES + 1)).decode())
        elif text:
            # What was pasted stays in its own field, and counts before a file that was sent before.
            self.BESIDE = {"file": "text"}
            self._keep(data, "")
        elif not data.get("content") and "text" not in self.errors:
            self.add_error("file", "Choose the file that says it, or paste what it says.")
        return data

    def _keep(self, data: dict[str, Any], content: str) -> None:
        """Keep the file's content in the page that is shown before the act."""
        data["content"] = content
        # One by one: unpacked, a QueryDict gives each field as a list.
        self.data = {name: self.data.get(name) for name in self.data} | {"content": content}

    def act(self, *, by: User) -> Act[None, tuple[Recording | Party, list[Signal]]]:
        """Return the act of noting, to be shown first. Raises Refused or BadIdentifier."""
        data = self.cleaned_data
        subject = self._subject(data["isrc"], data["party"])
        content = data["text"].encode() or _decoded(data["content"])
        return signals.signal_act(
            by=by,
            subject=subject,
            reservations=reading.read(content, scheme=data["scheme"], path=data["path"]),
            source=data["source"],
        )

    def _subject(self, isrc: str, party: Party | None) -> Recording | Party:
        if bool(isrc.strip()) == bool(party):
            raise Refused("subject", "Name a recording or a party.", field="isrc")
        if party:
            return party
        recording = Recording.objects.filter(isrc=identifiers.isrc(isrc)).first()
        if recording is None:
            raise Refused("unknown", "No recording here has this ISRC.", field="isrc")
        return recording


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise Refused("file", "Choose the file once more.", field="file") from error
