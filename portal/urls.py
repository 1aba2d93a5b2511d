"""Every URL of the portal, by app."""

from django.urls import include, path

from portal.admin import site
from portal.api import api

urlpatterns = [
    path("", include("portal.pages")),
    path("account/", include("allauth.urls")),
    path("api/", api.urls),
    path(".well-known/", include("rights.views.exchange.wellknown_urls")),
    path("rights/", include("rights.urls")),
    path("projects/", include("experiments.urls")),
    path("inbox/", include("experiments.views.inbox.urls")),
    path("discussion/", include("experiments.views.discussion.urls")),
    path("reports/", include("experiments.views.reports.urls")),
    path("models/", include("experiments.views.publishing.public_urls")),
    path("models/", include("audio_samples.views.public_urls")),
    path("publishing/", include("experiments.views.publishing.urls")),
    path("samples/", include("audio_samples.urls")),
    path("listen/", include("listening.urls")),
    path("operator/", site.urls),
]

handler400 = "portal.http.errors.bad_request"
handler500 = "portal.http.errors.server_failure"
