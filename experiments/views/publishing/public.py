"""The pages that everybody may read: which models are published, and what each learned from.

They are rendered without the request: no session, no cookie, no script, the same bytes for all.
Each is made from the rows as they are when it is requested, and may be cached for a few seconds.
"""

import hashlib
import json

from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from experiments.publishing import page_data, pages, training_credits, withdrawals
from experiments.publishing import summary as summaries
from experiments.publishing.page_cache import cached
from portal.inputs import parameters

# A change of mind must show at once: no cache may keep a page for longer than this.
SECONDS = 10
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
LINES = 100


@login_not_required
@require_safe
def models(request: HttpRequest) -> HttpResponseBase:
    """List all models that are or were published, with their state."""
    rows = list(page_data.PAGES.public())
    statuses = withdrawals.statuses_of(rows)
    links = [link for line in withdrawals.lines_of_pages(rows).values() for link in line]
    left_parties = frozenset[int]().union(*(status.departed for status in statuses.values()))
    list_status = withdrawals.PageStatus(withdrawals.WITHDRAWN, "", None, left_parties)
    veil = cached(
        "list", links, list_status, lambda: training_credits.hidden_in(links, list_status)
    )
    context = {
        "models": [
            {"page": page, "standing": statuses[page.pk], "title": veil.redact(str(page))}
            for page in rows
        ]
    }
    return respond(request, render_to_string("models/list.html", context))


@login_not_required
@require_safe
def model(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Show one model: its state, whom it learned from, for what, and what a withdrawal does."""
    model_data = load_page(slug)
    page = Paginator(model_data.learned.lines, LINES).get_page(
        parameters.read_parameters(request).page()
    )
    context = {"shown": model_data, "page": page, "basis": training_credits.BASIS}
    return respond(request, render_to_string("models/model.html", context))


@login_not_required
@require_safe
def summary(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Show the training-content summary in the shape of the AI Office's template."""
    return _summary(request, slug, "models/summary.html")


@login_not_required
@require_safe
def summary_print(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Show the same summary for print: black on white, without links around it."""
    return _summary(request, slug, "models/summary_print.html")


@login_not_required
@require_safe
def summary_json(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Return the same summary as JSON, with its figures as numbers."""
    body = summaries.build_summary(load_page(slug), timezone.now())
    text = json.dumps(body, ensure_ascii=False, indent=1)
    return respond(request, text, "application/json")


def _summary(request: HttpRequest, slug: str, template: str) -> HttpResponseBase:
    model_data = load_page(slug)
    context = {"shown": model_data, "summary": summaries.build_summary(model_data, timezone.now())}
    return respond(request, render_to_string(template, context))


def load_page(slug: str) -> page_data.PageData:
    """Load a model's page; 404 if nobody has approved it, as for a page that does not exist."""
    page = page_data.PAGES.public().filter(slug=slug).first()
    text = pages.text_of(page) if page else None
    if page is None or text is None:
        raise Http404
    return page_data.load_page_data(page, text)


def respond(
    request: HttpRequest,
    text: str,
    content_type: str = "text/html; charset=utf-8",
    policy: str = POLICY,
) -> HttpResponseBase:
    """Respond with the same bytes for everybody, under a Content-Security-Policy."""
    # The log-in middleware has checked whether anybody is signed in; the response does not depend
    # on it, and a cache on the way may serve it to everybody.
    request.session.accessed = False
    body = text.encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {
        "Cache-Control": f"public, max-age={SECONDS}, must-revalidate",
        "Content-Security-Policy": policy,
        "ETag": etag,
    }
    response = HttpResponse(body, content_type=content_type, headers=headers)
    return get_conditional_response(request, etag, None, response) or response
