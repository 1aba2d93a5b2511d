"""How the portal writes times, sizes and states: in words, with units, the same on every page."""

from datetime import datetime
from typing import Any

from django import template
from django.template.base import NodeList, Parser, Token
from django.template.context import Context
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

NOTHING = "\N{EN DASH}"

STATES = {
    "queued": "Waiting",
    "starting": "Starting",
    "running": "Running",
    "stopping": "Stopping",
    "finished": "Finished",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "withheld": "Stopped: a permission ended",
    "claimed": "Claimed",
    "created": "Created",
    "succeeded": "Succeeded",
    "lost": "Lost",
    "preempted": "Made room",
    "stopped": "Stopped",
    "paused": "Paused",
    "waiting": "Waiting for its run",
    "complete": "Complete",
    "pruned": "Pruned",
}

# The project's own pages: name, label, URL name. A page that does not exist yet has no link.
PROJECT_PAGES = (
    ("runs", "Runs", "experiments:runs"),
    ("charts", "Charts", "experiments:charts"),
    ("compare", "Compare", "experiments:compare"),
    ("sweeps", "Sweeps", "experiments:sweeps"),
    ("reports", "Reports", "experiments:reports"),
    ("samples", "Samples", "audio_samples:project"),
    ("datasets", "Datasets", "experiments:datasets"),
    ("models", "Models", "experiments:models"),
    ("listening", "Listening tests", "listening:tests"),
    ("alerts", "Alerts", "experiments:alerts"),
    ("settings", "Settings", "experiments:project_settings"),
)


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds as the two largest units that matter: 123 -> "2 min 3 s", 0.42 -> "0.4 s"."""
    if seconds is None:
        return NOTHING
    seconds = max(seconds, 0)
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    total = round(seconds)
    for size, unit, smaller, small_unit in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if total >= size:
            remainder = total % size // smaller
            return f"{total // size} {unit}" + (f" {remainder} {small_unit}" if remainder else "")
    return f"{total} s"


@register.filter
def ago(moment: datetime | None) -> str:
    """How long ago: "just now", "5 min ago", "in 2 h", and the date after a month."""
    if moment is None:
        return "never"
    seconds = (timezone.now() - moment).total_seconds()
    size = abs(seconds)
    if size < 10:
        return "just now"
    if size > 30 * 86_400:
        return f"{moment.day} {moment:%b %Y}"
    for unit_seconds, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if size >= unit_seconds:
            text = f"{int(size // unit_seconds)} {unit}"
            break
    return f"{text} ago" if seconds > 0 else f"in {text}"


@register.filter
def when(moment: datetime | None) -> SafeString | str:
    """A <time> element: words to read, and the exact moment on hover."""
    if moment is None:
        return "never"
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        moment.isoformat(),
        f"{moment:%Y-%m-%d %H:%M:%S}",
        ago(moment),
    )


@register.filter
def state_words(thing: Any) -> str:
    """The label of a state, given a row that has one or its code."""
    display = getattr(thing, "get_state_display", None)
    if display is not None:
        return str(display())
    code = str(thing)
    return STATES.get(code, code.replace("_", " ").capitalize())


@register.filter("bytes")
def size_words(count: float | None) -> str:
    """A number of bytes in decimal units: 2_500_000 -> "2.5 MB"."""
    if count is None:
        return NOTHING
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


@register.filter
def percent(fraction: float | None) -> str:
    """A fraction as a percentage: 0.1234 -> "12 %", under ten with one decimal. What is not
    zero is never shown as zero: 0.0001 -> "< 0.1 %"."""
    if fraction is None:
        return NOTHING
    value = fraction * 100
    if 0 < value < 0.05:
        return "< 0.1 %"
    return f"{value:.1f} %" if 0 < value < 10 else f"{value:.0f} %"


@register.filter
def shares(ppm: int | None) -> str:
    """Parts per million as a percentage: 333_333 -> "33.3333 %"."""
    if ppm is None:
        return NOTHING
    return f"{ppm / 10_000:.4f}".rstrip("0").rstrip(".") + " %"


class ProjectNav(template.Node):
    """The links of one project; the tag's body names the current page."""

    def __init__(self, nodelist: NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        section = self.nodelist.render(context).strip()
        slug = context["project"].slug
        links = SafeString("")
        for name, label, url_name in PROJECT_PAGES:
            try:
                url = reverse(url_name, args=[slug])
            except NoReverseMatch:
                continue
            current = SafeString(' aria-current="page"') if name == section else ""
            links += format_html('<a href="{}"{}>{}</a>', url, current, label)
        return links


@register.tag
def project_nav(parser: Parser, _token: Token) -> ProjectNav:
    nodelist = parser.parse(("end_project_nav",))
    parser.delete_first_token()
    return ProjectNav(nodelist)
