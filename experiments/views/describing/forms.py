"""What people type about a run."""

from typing import Any

from django import forms
from django.db.models import QuerySet

from experiments.models import Project, Run
from experiments.run_table import query
from experiments.runs import bulk, describing, numbers
from portal.database.bulk import among
from portal.inputs.forms import Form
from portal.inputs.parameters import LONGEST_VALUE
from portal.models import User

LABELS = {"name": "Name", "description": "Description", "notes": "Notes"}


def tags_typed(text: str) -> list[str]:
    """Return what stands between the commas."""
    return [name for part in text.split(",") if (name := part.strip())]


class WordsForm(Form):
    """Name, description, tags and notes of one run, for the version that was shown."""

    name = forms.CharField(max_length=describing.LONGEST["name"])
    description = forms.CharField(
        max_length=describing.LONGEST["description"],
        required=False,
        help_text="What it is about, in a line.",
    )
    tags = forms.CharField(
        max_length=describing.MAX_TAGS * (describing.MAX_TAG + 2),
        required=False,
        help_text="Between commas.",
    )
    notes = forms.CharField(
        max_length=describing.LONGEST["notes"],
        required=False,
        widget=forms.Textarea(attrs={"rows": 12}),
        help_text="In Markdown: **bold**, *italic*, lists, tables, links.",
    )
    version = forms.IntegerField(widget=forms.HiddenInput, min_value=0)

    @classmethod
    def of(cls, run: Run) -> "WordsForm":
        """Return the form as the run stands."""
        initial = {name: getattr(run, name) for name in LABELS}
        return cls(initial=initial | {"tags": ", ".join(run.tags), "version": run.described})

    def words(self) -> dict[str, Any]:
        """Return what to store."""
        return self.cleaned_data | {"tags": tags_typed(self.cleaned_data["tags"])}

    def ask_again(self, clash: describing.Overtaken, run: Run) -> None:
        """Say what somebody has changed meanwhile; what is sent next replaces it."""
        for field in clash.current:
            self.add_error(field, f"{clash} Theirs is shown too; saving again replaces it.")
        self.data = dict(self.data.items()) | {"version": str(run.described)}


class BulkForm(Form):
    """Which runs of a project an act is for: by their numbers, or all that a query finds."""

    numbers = forms.CharField(max_length=100_000, required=False)
    q = forms.CharField(max_length=LONGEST_VALUE, required=False)
    # Whether a query finds archived runs too.
    archived = forms.BooleanField(required=False)
    # How many the page showed.
    count = forms.IntegerField(min_value=0, required=False)
    tags = forms.CharField(
        label="Tags",
        max_length=describing.MAX_TAGS * (describing.MAX_TAG + 2),
        required=False,
        help_text="Between commas.",
    )

    def rows(self, act: str, project: Project, user: User) -> QuerySet[Run]:
        """Return the runs that are meant. Raises BadNumbers, BadQuery."""
        rows = bulk.rows_for(act, project, user)
        if typed := self.cleaned_data["numbers"]:
            return rows.filter(number__in=among(numbers.read_numbers(typed)))
        if "q" not in self.data:
            return rows.none()
        if not self.cleaned_data["archived"] and act in bulk.OF_LISTED:
            rows = rows.filter(archived_at=None)
        return query.apply(rows, self.cleaned_data["q"])

    def tag_names(self) -> list[str]:
        return tags_typed(self.cleaned_data["tags"])


class RenameForm(Form):
    """A tag, and the name that it gets in all runs of the project."""

    old = forms.CharField(max_length=describing.MAX_TAG, widget=forms.HiddenInput)
    new = forms.CharField(label="New name", max_length=describing.MAX_TAG)


class TagForm(Form):
    """Tags to add to a run, or to remove."""

    tags = forms.CharField(label="Tags", max_length=describing.MAX_TAGS * (describing.MAX_TAG + 2))

    def names(self) -> list[str]:
        return tags_typed(self.cleaned_data["tags"])
