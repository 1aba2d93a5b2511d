from django.urls import path

from audio_samples import views

app_name = "audio_samples"
urlpatterns = [
    path("newest/", views.home_fragment, name="home_fragment"),
    path("grid/", views.grid, name="grid"),
    path("of/<slug:slug>/", views.project, name="project"),
    path("of/<slug:slug>/<int:number>/", views.run_samples, name="run_samples"),
    path("<int:pk>/", views.sample, name="sample"),
    path("<int:pk>/audio", views.audio, name="audio"),
    path("<int:pk>/spectrogram.png", views.spectrogram, name="spectrogram"),
]
