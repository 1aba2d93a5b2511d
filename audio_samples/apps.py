from django.apps import AppConfig


class AudioSamplesConfig(AppConfig):
    name = "audio_samples"
