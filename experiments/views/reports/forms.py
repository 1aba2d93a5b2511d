"""What people type of a report."""

from django import forms

from experiments.models import Report
from experiments.reports import reports
from portal.inputs.forms import Form


class ReportForm(Form):
    title = forms.CharField(max_length=reports.LONGEST_TITLE)
    text = forms.CharField(
        max_length=reports.LONGEST,
        required=False,
        widget=forms.Textarea(attrs={"rows": 30, "spellcheck": "true", "data-report-text": ""}),
        help_text="In Markdown. Insert puts in a chart, a table, players or listeners' answers.",
    )
    # Of a report that is changed: the version that was shown.
    version = forms.IntegerField(widget=forms.HiddenInput, min_value=0, required=False)

    @classmethod
    def of(cls, report: Report) -> "ReportForm":
        """Return the form as the report stands."""
        initial = {"title": report.title, "text": report.text, "version": report.version}
        return cls(initial=initial)

    def ask_again(self, clash: reports.Overtaken) -> None:
        """Say what somebody has saved meanwhile; what is sent next replaces it."""
        self.add_error("text", f"{clash} Theirs is shown too; saving again replaces it.")
        self.data = dict(self.data.items()) | {"version": str(clash.current.version)}
