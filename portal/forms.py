"""What the shell's pages ask for."""

from datetime import datetime, timedelta

from django import forms
from django.utils import timezone

from portal.models import User


class TokenForm(forms.Form):
    label = forms.CharField(
        label="What it is for",
        max_length=100,
        help_text="For example: notebook on my laptop.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    days = forms.TypedChoiceField(
        label="Good for",
        coerce=int,
        choices=[(30, "30 days"), (90, "90 days"), (365, "a year"), (0, "until revoked")],
        initial=90,
    )

    def expires_at(self) -> datetime | None:
        days: int = self.cleaned_data["days"]
        return timezone.now() + timedelta(days=days) if days else None


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ["first_name", "last_name", "email"]
