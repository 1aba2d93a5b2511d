"""Addresses for reviewers of model pages: what waits, and one version of a page's texts."""

from django.urls import path

from experiments.views.publishing import publishing

app_name = "publishing"
urlpatterns = [
    path("", publishing.review_queue, name="waiting"),
    path("texts/<int:pk>/", publishing.text, name="text"),
    path("texts/<int:pk>/approve/", publishing.approve, name="approve"),
    path("texts/<int:pk>/refuse/", publishing.refuse, name="refuse"),
    path("pages/<int:pk>/withdraw/", publishing.withdraw, name="withdraw"),
]
