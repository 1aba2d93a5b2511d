"""The form of a person's own notice settings."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from experiments.inbox import hours
from experiments.models import NoticeSettings
from portal.inputs.forms import ModelForm


class NoticeSettingsForm(ModelForm):
    class Meta:
        model = NoticeSettings
        fields = [
            "mails", "mail_level", "mail_comments", "time_zone", "daily_at", "quiet_from",
            "quiet_to",
        ]  # fmt: skip
        widgets = {
            "time_zone": forms.TextInput(attrs={"list": "time-zones", "autocomplete": "off"}),
            "daily_at": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
            "quiet_from": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
            "quiet_to": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        }
        labels = {"time_zone": "Time zone", "mail_comments": "Comments and mentions by mail too"}
        help_texts = {
            "mail_level": "And everything more urgent.",
            "time_zone": "Such as Europe/Berlin. The hours below are of it, and times in mails.",
            "quiet_from": "No mail is sent in these hours; what came in them comes as one after.",
        }

    def clean_time_zone(self) -> str:
        name = str(self.cleaned_data["time_zone"])
        if name not in hours.zone_names():
            raise ValidationError(
                f"“{name[:60]}” is no time zone that is known here. Choose one of the list."
            )
        return name

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and bool(data.get("quiet_from")) != bool(data.get("quiet_to")):
            missing = "quiet_to" if data.get("quiet_from") else "quiet_from"
            self.add_error(missing, "Give both ends of the quiet hours, or neither.")
        return data
