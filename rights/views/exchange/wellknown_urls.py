"""URLs of what this site tells crawlers, under /.well-known/ (RFC 8615)."""

from django.urls import path

from rights.views.exchange import exports

urlpatterns = [path("tdmrep.json", exports.tdmrep, name="tdmrep")]
