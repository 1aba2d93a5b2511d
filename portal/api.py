"""The HTTP API: who is calling, and which routers answer. OpenAPI page at /api/docs."""

from django.http import HttpRequest
from django.utils import timezone
from ninja import NinjaAPI
from ninja.security import HttpBearer, SessionAuth

from portal.models import ApiToken


class BearerToken(HttpBearer):
    """An API token in the Authorization header; sets request.user and request.token."""

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        found = (
            ApiToken.objects.usable()
            .select_related("user")
            .filter(digest=ApiToken.digest_of(token), user__is_active=True)
            .first()
        )
        if found is None:
            return None
        now = timezone.now()
        # Once a minute is enough to see that a token is in use, and spares a write per request.
        if found.last_used_at is None or (now - found.last_used_at).total_seconds() > 60:
            ApiToken.objects.filter(pk=found.pk).update(last_used_at=now)
        request.user = found.user
        return found


api = NinjaAPI(
    title="Backline",
    version="1",
    auth=[BearerToken(), SessionAuth()],
    docs_url="/docs",
    urls_namespace="api",
)
