"""What the query line of the run table may go on with."""

from dataclasses import asdict

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from experiments.models import Project
from experiments.run_table.query import completion
from experiments.views.access import requires_view
from portal.inputs import parameters
from portal.views import signed_in


@require_safe
@requires_view
def complete(request: HttpRequest, project: Project) -> JsonResponse:
    """Return as JSON what fits at the cursor of the query line, `?q=run.sta&at=7`."""
    query = parameters.read_parameters(request)
    # With the spaces that were typed: the cursor counts them.
    text = dict(query.words()).get("q", "")
    at = query.number("at")
    found = completion.complete(
        user=signed_in(request), project=project, text=text, at=len(text) if at is None else at
    )
    return JsonResponse(asdict(found))
