"""The URLs of the portal's own pages."""

from django.urls import path

from portal import views

urlpatterns = [
    path("", views.home, name="home"),
    path("theme", views.theme, name="theme"),
    path("profile", views.profile, name="profile"),
    path("tokens", views.tokens_page, name="tokens"),
    path("tokens/new", views.token_new, name="token_new"),
    path("tokens/<int:pk>/revoke", views.token_revoke, name="token_revoke"),
    path("markdown/preview", views.markdown_preview, name="markdown_preview"),
    path("health", views.health_page, name="health"),
    path("healthz", views.alive, name="alive"),
]
