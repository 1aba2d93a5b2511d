"""The form that opens a test."""

from typing import Any

from django import forms

from audio_samples.models import Sample
from experiments.models import Project
from listening.models import ListeningTest
from portal.inputs.forms import Form, RowsField

CHOICES_SHOWN = 200


class TestForm(Form):
    """Title, question, labels of the scale's ends, and the audible samples of one project."""

    title = forms.CharField(max_length=150)
    question = forms.CharField(
        max_length=300,
        initial="How good does this sound?",
        help_text="One question, the same for all.",
    )
    low_label = forms.CharField(max_length=60, initial="Bad", label="What 1 means")
    high_label = forms.CharField(max_length=60, initial="Excellent", label="What 5 means")
    audience = forms.ChoiceField(
        choices=ListeningTest.Audience.choices,
        initial=ListeningTest.Audience.OUTSIDE,
        required=False,
        label="Who listens",
        help_text=(
            "Either way everybody whose music is behind a sample must allow evaluation for this "
            "project's purpose and territory. Clips of programs that were started outside, or were "
            "given no dataset, stay inside the lab: nobody knows what they learned from."
        ),
    )
    samples = RowsField(
        Sample.objects.none(), error_messages={"required": "Choose at least one sample."}
    )

    def clean_audience(self) -> str:
        """Default to everybody: a page loaded before there was a choice sends no audience."""
        return self.cleaned_data["audience"] or ListeningTest.Audience.OUTSIDE

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["samples"]
        assert isinstance(field, RowsField)  # noqa: S101 - narrows the type
        audible = Sample.objects.of_project(project).audible()
        field.queryset = audible.select_related("run__project")
