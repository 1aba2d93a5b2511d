"""Forms of withdrawal cases: who has a task, what settled an item, the final statement."""

from typing import Any

from django import forms

from portal.models import User
from rights.forms.base import HOLDERS_REASON, MomentField, VerbForm
from rights.models import CaseItem, CaseTask
from rights.withdrawal import case_pages, cases


class RemedyForm(VerbForm):
    note = forms.CharField(
        max_length=500, required=False, help_text="Where it is proved, if anywhere."
    )


class NoteForm(VerbForm):
    note = forms.CharField(
        max_length=400,
        label="What was done",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Such as unlearning, and how it was measured. It settles nothing.",
    )


class CloseForm(VerbForm):
    note = forms.CharField(
        max_length=500,
        label="Final statement",
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="The party reads it: what became of everything that was made with its music.",
    )


class SettleForm(VerbForm):
    outcome = forms.ChoiceField(
        label="What became of it",
        widget=forms.RadioSelect,
        choices=[
            (CaseItem.Outcome.RETRAINED, "It was replaced by one that never had the music"),
            (CaseItem.Outcome.COVERED, "What was agreed lets it stay as it is"),
        ],
    )
    replaced_by = forms.CharField(
        required=False,
        max_length=60,
        label="Number of what replaces it",
        help_text="Of the same kind, made without this music. The one that it replaces is retired.",
    )
    note = forms.CharField(
        max_length=500, label="Why", help_text="Which clause, or where the new one is."
    )

    def clean_replaced_by(self) -> str:
        return str(self.cleaned_data["replaced_by"]).strip()


class AssignForm(VerbForm):
    owner = forms.ModelChoiceField(
        User.objects.none(), required=False, empty_label="nobody", label="Who sees to it"
    )
    due_at = MomentField(label="By when", help_text="UTC. Not later than was agreed.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["owner"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the types
        field.queryset = User.objects.filter(
            pk__in=[owner.pk for owner in case_pages.possible_owners()]
        )
        field.label_from_instance = _name  # type: ignore[method-assign,assignment]

    def save(self, task: CaseTask, *, by: User) -> CaseTask:
        data = self.cleaned_data
        return cases.assign(task, by=by, owner=data["owner"], due_at=data["due_at"])


def _name(user: User) -> str:
    return user.display_name


class LeaveForm(VerbForm):
    reason = forms.CharField(
        max_length=300, help_text="It is kept and shown wherever this has an effect."
    )
    understood = forms.BooleanField(
        label="I have read what this ends. It cannot be undone.",
    )

    def __init__(self, *args: Any, own: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if own:
            # The same text as where a holder switches one use off: to them the lab is an outsider.
            self.fields["reason"].help_text = HOLDERS_REASON
