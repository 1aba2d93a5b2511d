"""Forms of the import pages."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from portal.confirmation import Act
from portal.models import User
from rights import identifiers
from rights.errors import Refused
from rights.exchange.importing import columns, jobs
from rights.exchange.importing.columns import FIELDS
from rights.exchange.importing.previews import TablePreview
from rights.exchange.importing.reading import ENCODINGS, BadDate, Order, Reading, read_date
from rights.forms import VerbForm
from rights.forms.picks import PickField
from rights.models import ImportJob, NewParty, Party, Recording, Signal
from rights.tdm import reading, signals, texts


class ImportForm(VerbForm):
    file = forms.FileField(
        allow_empty_file=True,
        help_text="CSV or Excel (.xlsx), DDEX ERN 3.4 to 4.3 as XML, our JSON, or a list of ISRC, "
        "use and yes or no.",
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


class ReadingForm(VerbForm):
    """How the file of a table is read; what it says is shown by a preview before it counts."""

    sheet = forms.ChoiceField(required=False)
    encoding = forms.ChoiceField(required=False)
    header_line = forms.ChoiceField(label="Line with the names of the columns", required=False)

    def __init__(self, *args: Any, preview: TablePreview, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        sheet, encoding, header_line = (
            self.fields[name] for name in ("sheet", "encoding", "header_line")
        )
        sheet.choices = [("", "The first with cells"), *((name, name) for name in preview.sheets)]  # type: ignore[attr-defined]
        found = ENCODINGS.get(preview.encoding.removesuffix("-sig"), preview.encoding)
        unchosen = "Found out from the file"
        if found and not preview.reading.encoding:
            unchosen = f"{unchosen}: {found}"
        encoding.choices = [("", unchosen), *ENCODINGS.items()]  # type: ignore[attr-defined]
        header_line.choices = [  # type: ignore[attr-defined]
            (0, "The first that is not empty"),
            *(
                (number, f"{number}: {' · '.join(cells)[:80]}")
                for number, cells in enumerate(preview.first_lines, start=1)
                if cells
            ),
        ]
        reading = preview.reading
        self.initial = {
            "sheet": reading.sheet, "encoding": reading.encoding,
            "header_line": reading.header_line,
        }  # fmt: skip
        if len(preview.sheets) < 2:
            del self.fields["sheet"]
        if preview.sheets:
            del self.fields["encoding"]


def reading_asked(data: Mapping[str, str], stored: Reading) -> Reading:
    """Return the reading that a page asks for, or the stored one where it asks for none. What is no
    choice is left out."""
    if not ReadingForm.base_fields.keys() & data.keys():
        return stored
    line = data.get("header_line", "")
    return replace(
        stored,
        sheet=data.get("sheet", "")[:100],
        encoding=encoding if (encoding := data.get("encoding", "")) in ENCODINGS else "",
        header_line=int(line) if line.isascii() and line.isdecimal() and len(line) < 4 else 0,
    )


class CheckForm(VerbForm):
    """Which column holds what, and what the import may do besides adding."""

    dates = forms.ChoiceField(
        required=False,
        label="Order of dates",
        widget=forms.RadioSelect,
        help_text="Of dates in numbers. Those that begin with four digits of the year, and months "
        "by name, say it themselves.",
    )
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

    def __init__(
        self, *args: Any, job: ImportJob, preview: TablePreview | None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.job, self.preview = job, preview
        header = preview.header if preview and job.format == ImportJob.Format.CSV else []
        choices = [("", "Not in this file"), *((name, name) for name in header if name)]
        guessed = columns.guess(header)
        for field in FIELDS if header else ():
            stored = job.columns.get(field.name, "")
            self.fields[f"column_{field.name}"] = forms.ChoiceField(
                label=field.words,
                choices=choices,
                required=field.name == "title",
                # What was chosen for another header line or sheet is not there any more.
                initial=stored if stored in header else guessed.get(field.name, ""),
                help_text=field.hint,
            )
        for name in jobs.FLAGS:
            self.fields[name].initial = job.options.get(name, False)
        if header and preview and preview.dates:
            self.fields["dates"].choices = _orders(preview.dates)  # type: ignore[attr-defined]
            self.initial["dates"] = preview.reading.dates or columns.guess_order(preview.dates)
        else:
            del self.fields["dates"]

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
        chosen = {
            name.removeprefix("column_"): value
            for name, value in data.items()
            if name.startswith("column_") and value
        }
        flags = {name: data[name] for name in jobs.FLAGS}
        reading = None
        if self.preview is not None:
            dates = data.get("dates", self.preview.reading.dates)
            reading = replace(self.preview.reading, dates=dates)
        is_mapped = self.job.format == ImportJob.Format.CSV
        return jobs.check(
            self.job, by=by, columns=chosen if is_mapped else None, reading=reading, **flags
        )


def _orders(samples: list[str]) -> list[tuple[str, str]]:
    """Return the orders of a date to choose from, each with what it makes of one of the file's."""
    example = next(iter(samples), "01/03/2026")
    words = {
        Order.DAY_FIRST: "Day first", Order.MONTH_FIRST: "Month first",
        Order.YEAR_FIRST: "Year first",
    }  # fmt: skip
    choices = [("", "Not said: dates that could be either are problems")]
    for order, label in words.items():
        try:
            day = read_date(example, order)
        except BadDate:
            choices.append((order.value, label))
        else:
            choices.append((order.value, f"{label}: {example} is {day:%-d %B %Y}"))
    return choices


class PartiesForm(VerbForm):
    """Which of the names that would become new parties are parties of the catalogue."""

    def __init__(
        self, *args: Any, new_parties: list[NewParty], same: dict[str, Party], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.new_parties, self.same = new_parties, same
        for party in new_parties:
            field = PickField("party", required=False, label=f"{party.name} is")
            field.widget.attrs["placeholder"] = "A new party"
            field.widget.suggestions = [
                f"{each['name']} #{each['party']}" for each in party.similar if "party" in each
            ]
            self.fields[f"party_{party.pk}"] = field
        for name in same:
            self.fields[f"undo_{name}"] = forms.BooleanField(label="A new party", required=False)

    def clean(self) -> dict[str, Any]:
        answers = (name for name in self.data if name.startswith("party_") and self.data[name])
        if any(name not in self.fields for name in answers):
            raise ValidationError(
                "The file was checked again meanwhile, and nothing of this was taken in: see what "
                "is new now, and say it again."
            )
        return super().clean() or {}

    @property
    def rows(self) -> list[tuple[NewParty, forms.BoundField]]:
        return [(party, self[f"party_{party.pk}"]) for party in self.new_parties]

    @property
    def undone(self) -> list[tuple[str, Party, forms.BoundField]]:
        return [(name, party, self[f"undo_{name}"]) for name, party in self.same.items()]

    def save(self, job: ImportJob, *, by: User) -> ImportJob:
        data = self.cleaned_data
        same: dict[str, Party | None] = {
            party.name: data[f"party_{party.pk}"]
            for party in self.new_parties
            if data[f"party_{party.pk}"]
        }
        same |= {name: None for name in self.same if data[f"undo_{name}"]}
        return jobs.identify(job, by=by, same=same)


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
