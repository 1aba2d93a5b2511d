"""What people type about a run."""

from typing import Any

from django import forms

from experiments.models import Run
from experiments.runs import describing
from portal.inputs.forms import Form

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


class TagForm(Form):
    """Tags to add to a run, or to remove."""

    tags = forms.CharField(label="Tags", max_length=describing.MAX_TAGS * (describing.MAX_TAG + 2))

    def names(self) -> list[str]:
        return tags_typed(self.cleaned_data["tags"])
