"""The inbox: what a person was told, read and unread."""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from experiments.discussion import comments
from experiments.inbox import away, hours, notices, preferences
from experiments.inbox.forms import NoticeSettingsForm
from experiments.models import Notice, Project
from portal.inputs import parameters
from portal.views import signed_in

PER_PAGE = 50
# Of the home page.
AT_HOME = 8
SPANS = {"1": "the last day", "3": "the last 3 days", "7": "the last week", "30": "the last month"}


@require_safe
def inbox(request: HttpRequest) -> HttpResponse:
    """Show what the person was told, newest first."""
    user, query = signed_in(request), parameters.read_parameters(request)
    show = query.choice("show", ("unread", "all"), "unread")
    rows = Notice.objects.visible_to(user).select_related("project")
    projects = Project.objects.filter(pk__in=rows.values("project")).order_by("name")
    slug = query.text("project")
    project = next((one for one in projects if one.slug == slug), None)
    if project:
        rows = rows.filter(project=project)
    unread = rows.unread().count()
    if show == "unread":
        rows = rows.unread()
    context = {
        "page": Paginator(rows, PER_PAGE).get_page(query.page()),
        "show": show,
        "chosen": project,
        "projects": projects,
        "unread_here": unread,
        "now": timezone.now(),
        "zone": hours.zone_of(preferences.settings_of(user)),
    }
    return render(request, "inbox/inbox.html", context)


@require_safe
def home_fragment(request: HttpRequest) -> HttpResponse:
    """Show the newest of what is unread, for the home page."""
    user = signed_in(request)
    rows = Notice.objects.visible_to(user).unread().select_related("project")
    context = {"notices": rows[:AT_HOME], "zone": hours.zone_of(preferences.settings_of(user))}
    return render(request, "inbox/home.html", context)


@require_safe
def inbox_count(request: HttpRequest) -> HttpResponse:
    """Return the number of unread notices, as the frame of each page shows it."""
    return render(request, "inbox/bell.html")


@require_POST
def notice_read(request: HttpRequest, pk: int) -> HttpResponse:
    """Mark one notice as read."""
    notices.mark_read(by=signed_in(request), notice=_notice(request, pk))
    return _back(request)


@require_POST
def notice_unread(request: HttpRequest, pk: int) -> HttpResponse:
    """Mark one notice as unread again."""
    notices.mark_unread(by=signed_in(request), notice=_notice(request, pk))
    return _back(request)


@require_POST
def inbox_read(request: HttpRequest) -> HttpResponse:
    """Mark all that a page showed as read, of one project or of all."""
    user, posted = signed_in(request), parameters.posted_parameters(request)
    slug = posted.text("project")
    project = None
    if slug:
        project = get_object_or_404(Project.objects.visible_to(user), slug=slug)
    count = notices.mark_all_read(by=user, project=project, until=_until(posted))
    messages.success(request, f"{count:,} marked as read." if count else "Nothing was unread.")
    return _back(request)


@require_safe
def while_away(request: HttpRequest) -> HttpResponse:
    """Show what happened in each of the person's projects since they last said they had seen it."""
    user = signed_in(request)
    days = parameters.read_parameters(request).choice("days", SPANS)
    since = timezone.now() - timedelta(days=int(days)) if days else None
    context = {
        "summaries": [
            (one, comments.since(user, one.project, one.since, at_most=away.LISTED))
            for one in away.of_each(user, since=since)
        ],
        "days": days,
        "spans": SPANS.items(),
        "now": timezone.now(),
        "zone": hours.zone_of(preferences.settings_of(user)),
    }
    return render(request, "inbox/away.html", context)


@require_POST
def project_seen(request: HttpRequest, slug: str) -> HttpResponse:
    """Note that the person has seen what happened in a project up to when the page was made."""
    user = signed_in(request)
    project = get_object_or_404(Project.objects.visible_to(user), slug=slug)
    notices.mark_seen(by=user, project=project, until=_until(parameters.posted_parameters(request)))
    messages.success(request, f"{project.name}: the next time begins here.")
    return redirect("inbox_away")


@require_http_methods(["GET", "HEAD", "POST"])
def inbox_settings(request: HttpRequest) -> HttpResponse:
    """Show how the person wants to be told; POST changes it."""
    user = signed_in(request)
    form = NoticeSettingsForm(request.POST or None, instance=preferences.settings_of(user))
    if request.method == "POST" and form.is_valid():
        preferences.change(by=user, **form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("inbox_settings")
    context = {
        "form": form,
        "zones": hours.zone_names(),
        "mail_works": bool(settings.EMAIL_URL),
        "address": user.email,
    }
    status = 422 if form.errors else 200
    return render(request, "inbox/settings.html", context, status=status)


def _notice(request: HttpRequest, pk: int) -> Notice:
    return get_object_or_404(Notice.objects.visible_to(signed_in(request)), pk=pk)


def _until(posted: parameters.Parameters) -> datetime:
    """Return when the page was made that posts this; now if it does not say."""
    try:
        moment = parse_datetime(posted.text("until"))
    except ValueError:
        moment = None
    return moment if moment and moment.tzinfo else timezone.now()


def _back(request: HttpRequest) -> HttpResponse:
    if request.headers.get("HX-Request") == "true":
        return render(request, "inbox/bell.html")
    back = parameters.posted_parameters(request).text("next", longest=2_000)
    if back.startswith("/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        return redirect(back)
    return redirect("inbox")
