"""Addresses that everybody may read, without a log-in."""

from django.urls import path

from audio_samples.views import public

app_name = "clips"
urlpatterns = [
    path("<slug:slug>/clips/", public.clips, name="clips"),
    path("<slug:slug>/clips/<uuid:number>/audio", public.audio, name="audio"),
]
