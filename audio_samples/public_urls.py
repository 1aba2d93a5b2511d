"""Addresses that everybody may read, without a log-in."""

from django.urls import path

from audio_samples import public_views

app_name = "clips"
urlpatterns = [
    path("<slug:slug>/clips/", public_views.clips, name="clips"),
    path("<slug:slug>/clips/<uuid:number>/audio", public_views.audio, name="audio"),
]
