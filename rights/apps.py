from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class RightsConfig(AppConfig):
    name = "rights"

    def ready(self) -> None:
        # The rooms above say what they make of recordings; this one may not import them.
        autodiscover_modules("lineage", "public", "originals", "provenance")
