"""The HTTP API: who is calling, and which routers answer. OpenAPI page at /api/docs."""

from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.security import HttpBearer, SessionAuth

from portal.models import ApiToken

# What a killed program left on its disk is delivered after its run, and so its token, has ended.
DELIVERY_GRACE = timedelta(days=1)


class BearerToken(HttpBearer):
    """An API token in the Authorization header; sets request.user and request.token.

    A run's token ends with its run; for DELIVERY_GRACE it may still deliver (POST), not read.
    """

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken:
        found = (
            ApiToken.objects.select_related("user")
            .filter(digest=ApiToken.digest_of(token), user__is_active=True)
            .filter(self.good(request))
            .first()
        )
        if found is None:
            # A token that is no good is not a visitor without one, for whom cookies are tried.
            raise HttpError(401, "This token is not known to the portal, or it has ended.")
        now = timezone.now()
        # Once a minute is enough to see that a token is in use, and spares a write per request.
        if found.last_used_at is None or (now - found.last_used_at).total_seconds() > 60:
            ApiToken.objects.filter(pk=found.pk).update(last_used_at=now)
        request.user = found.user
        return found

    @staticmethod
    def good(request: HttpRequest) -> Q:
        now = timezone.now()
        usable = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now))
        if request.method != "POST":
            return usable
        since = now - DELIVERY_GRACE
        late = Q(revoked_at__gt=since) | Q(revoked_at=None, expires_at__gt=since)
        return usable | (Q(scope__startswith="run:") & late)


class PortalAPI(NinjaAPI):
    """Routes that judge the caller themselves: the log-in page is for people, not programs."""

    def _get_urls(self) -> list[Any]:
        patterns: list[Any] = super()._get_urls()
        for pattern in patterns:
            # The two pages that show the API stay behind the log-in.
            if pattern.name not in {"openapi-json", "openapi-view"}:
                pattern.callback.login_required = False
        return patterns


api = PortalAPI(
    title="Backline",
    version="1",
    auth=[BearerToken(), SessionAuth()],
    docs_url="/docs",
    urls_namespace="api",
)
for router in (
    "experiments.api.router",
    "experiments.deliveries.router",
    "audio_samples.api.router",
    "rights.api.router",
    "listening.api.router",
):
    api.add_router("/v1", router)
