"""Addresses that everybody may read, without a log-in."""

from django.urls import path

from experiments.views.publishing import public

app_name = "models"
urlpatterns = [
    path("", public.models, name="models"),
    path("<slug:slug>/", public.model, name="model"),
    path("<slug:slug>/training-content/", public.summary, name="summary"),
    path("<slug:slug>/training-content/print/", public.summary_print, name="summary_print"),
    path("<slug:slug>/training-content.json", public.summary_json, name="summary_json"),
]
