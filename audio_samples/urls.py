from django.urls import URLPattern

app_name = "audio_samples"
urlpatterns: list[URLPattern] = []
