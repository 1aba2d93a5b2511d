"""The forms of alert rules and webhooks."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from experiments.alerts import outbound, rules
from experiments.models import AlertRule, Level, Run, Webhook
from experiments.run_table import query
from experiments.runs import costs
from portal.inputs.forms import Form
from portal.models import User

Kind = AlertRule.Kind
METRIC = ("metric",)
# What each kind asks for, and how its number is called.
FIELDS: dict[str, tuple[str, ...]] = {
    Kind.METRIC: ("metric", "summary", "comparison", "value"),
    Kind.NOT_FINITE: METRIC,
    Kind.STALLED: ("metric", "better", "value"),
    Kind.STATE: ("states",),
    Kind.SILENT: ("value",),
    Kind.WAITING: ("value",),
    Kind.COST: ("value",),
}
NUMBERS = {
    Kind.METRIC: "Value",
    Kind.STALLED: "Steps without a better value",
    Kind.SILENT: "Minutes without a sign of life",
    Kind.WAITING: "Minutes in the queue",
    Kind.COST: "Amount",
}
COMMON = ("scope", "query", "audience", "level", "cooldown_minutes", "name")


class RuleForm(Form):
    """One rule of one kind; fields of other kinds are not on it."""

    metric = forms.CharField(
        label="Metric",
        max_length=200,
        help_text="As the program logs it, such as loss or val/fad.",
        widget=forms.TextInput(attrs={"list": "metric-names", "autocomplete": "off"}),
    )
    summary = forms.ChoiceField(label="Which value", choices=AlertRule.Summary.choices)
    comparison = forms.ChoiceField(label="Is", choices=AlertRule.Comparison.choices)
    better = forms.ChoiceField(label="Which way is better", choices=AlertRule.Better.choices)
    value = forms.FloatField()
    states = forms.MultipleChoiceField(
        label="States",
        choices=[(state.value, state.label) for state in AlertRule.END_STATES],
        widget=forms.CheckboxSelectMultiple,
    )
    scope = forms.ChoiceField(label="Which runs", choices=AlertRule.Scope.choices)
    query = forms.CharField(
        label="Query",
        max_length=500,
        required=False,
        help_text="As in the run table, for “Runs that match a query”.",
    )
    audience = forms.ChoiceField(label="Who is told", choices=AlertRule.Audience.choices)
    level = forms.ChoiceField(label="How urgent", choices=Level.choices, initial=Level.WARN)
    cooldown_minutes = forms.IntegerField(
        label="Minutes between two alerts about one run",
        min_value=0,
        max_value=7 * 24 * 60,
        initial=10,
        help_text="For a value that goes up and down around its limit.",
    )
    name = forms.CharField(
        label="Name", max_length=100, required=False, help_text="Empty: named for what it does."
    )

    def __init__(self, *args: Any, rule: AlertRule, user: User, **kwargs: Any) -> None:
        """`rule` is the one to change, or a new one that has its kind and project already."""
        super().__init__(*args, **kwargs)
        self.project, kind = rule.project, rule.kind
        wanted = {*FIELDS.get(kind, ()), *COMMON}
        for name in list(self.fields):
            if name not in wanted:
                del self.fields[name]
        if "value" in self.fields:
            self.fields["value"].label = NUMBERS[Kind(kind)]
            if kind == Kind.COST:
                self.fields["value"].help_text = f"In {costs.prices().currency}."
            if kind != Kind.METRIC:
                least = 1 if kind == Kind.STALLED else 0
                self.fields["value"].validators.append(_between(least, 10**9))
        if not rules.may_watch_for_others(user, rule.project):
            me = AlertRule.Audience.ME
            self.fields["audience"] = forms.ChoiceField(
                label="Who is told", choices=[(me.value, me.label)]
            )

    @property
    def when(self) -> list[forms.BoundField]:
        """The fields that say when it speaks."""
        return [field for field in self if field.name not in COMMON]

    @property
    def whom(self) -> list[forms.BoundField]:
        """The fields that say of which runs, and to whom."""
        return [field for field in self if field.name in COMMON]

    def clean_query(self) -> str:
        text = str(self.cleaned_data["query"])
        try:
            query.apply(Run.objects.filter(project=self.project), text)
        except query.BadQuery as refusal:
            raise ValidationError(str(refusal)) from refusal
        return text

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if data.get("scope") == AlertRule.Scope.QUERY and "query" in data and not data["query"]:
            self.add_error("query", "Write which runs: for example state:running tag:baseline.")
        return data


class WebhookForm(Form):
    """An address outside; when it is changed, an empty address leaves the one there is."""

    name = forms.CharField(label="Name", max_length=100, help_text="For its log: #training, pager.")
    kind = forms.ChoiceField(label="It reads", choices=Webhook.Kind.choices)
    url = forms.CharField(
        label="Address",
        max_length=outbound.LONGEST_URL,
        help_text="https:// and public. It is stored encrypted and not shown again.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    least_level = forms.ChoiceField(
        label="Alerts from",
        choices=Level.choices,
        initial=Level.INFO,
        help_text="And everything more urgent.",
    )
    comments = forms.BooleanField(
        label="Also that somebody commented (who and where, not the text)", required=False
    )

    def __init__(self, *args: Any, changing: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if changing:
            del self.fields["kind"]
            self.fields["url"].required = False
            self.fields["url"].label = "Another address"

    def clean_url(self) -> str:
        url = str(self.cleaned_data["url"])
        if not url and not self.fields["url"].required:
            return ""
        try:
            return outbound.check_url(url)[0]
        except outbound.Forbidden as refusal:
            raise ValidationError(str(refusal)) from refusal


def _between(least: float, most: float) -> Any:
    def check(value: float) -> None:
        if not least <= value <= most:
            raise ValidationError(f"Give a number from {least:,} to {most:,}.")

    return check
