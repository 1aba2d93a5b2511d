"""Addresses of the inbox."""

from django.urls import path

from experiments.views.inbox import inbox

urlpatterns = [
    path("", inbox.inbox, name="inbox"),
    path("home/", inbox.home_fragment, name="inbox_home"),
    path("count/", inbox.inbox_count, name="inbox_count"),
    path("read/", inbox.inbox_read, name="inbox_read"),
    path("<int:pk>/read/", inbox.notice_read, name="notice_read"),
    path("<int:pk>/unread/", inbox.notice_unread, name="notice_unread"),
    path("away/", inbox.while_away, name="inbox_away"),
    path("away/<slug:slug>/seen/", inbox.project_seen, name="project_seen"),
    path("settings/", inbox.inbox_settings, name="inbox_settings"),
]
