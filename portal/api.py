"""The HTTP API: who is calling, and which routers answer. OpenAPI page at /api/docs."""

from typing import Any

from django.http import HttpRequest
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.openapi.schema import OpenAPISchema
from ninja.security import HttpBearer, SessionAuth

from portal import tokens
from portal.models import ApiToken


class BearerToken(HttpBearer):
    """Checks an API token in the Authorization header; request.user becomes its owner."""

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken:
        api_token = (
            ApiToken.objects.usable()
            .select_related("user")
            .filter(digest=ApiToken.digest_of(token), user__is_active=True)
            .first()
        )
        if api_token is None:
            # An invalid token is refused; cookies are tried only for a request without a token.
            raise HttpError(401, "This token is not known to the portal, or it has ended.")
        tokens.note_use(api_token)
        request.user = api_token.user
        return api_token


class PortalAPI(NinjaAPI):
    """Routes that authenticate callers themselves: the log-in page is for people, not programs."""

    def _get_urls(self) -> list[Any]:
        for router in self._get_bound_routers():
            for view in router.path_operations.values():
                for operation in view.operations:
                    if "GET" in operation.methods:
                        # What can be fetched with GET can also be requested with HEAD (RFC 9110).
                        operation.methods = [*operation.methods, "HEAD"]
        patterns: list[Any] = super()._get_urls()
        for pattern in patterns:
            # The two pages that show the API stay behind the log-in.
            if pattern.name not in {"openapi-json", "openapi-view"}:
                pattern.callback.login_required = False
        return patterns

    def get_openapi_schema(self, **how: Any) -> OpenAPISchema:
        """Return the schema without HEAD, which is GET with the same operation id."""
        schema = super().get_openapi_schema(**how)
        for methods in schema["paths"].values():
            methods.pop("head", None)
        return schema


api = PortalAPI(
    title="Backline",
    version="1",
    auth=[BearerToken(), SessionAuth()],
    docs_url="/docs",
    urls_namespace="api",
)
for router in (
    "portal.audit.api.router",
    "experiments.api.router",
    "experiments.deliveries.api.router",
    "experiments.views.describing.api.router",
    "experiments.views.media.api.router",
    "experiments.alerts.api.router",
    "experiments.discussion.api.router",
    "experiments.sweeps.api.router",
    "experiments.reports.api.router",
    "audio_samples.api.router",
    "rights.api.router",
):
    api.add_router("/v1", router)
