from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        # From here on what ends a permission is journaled, and each room has said what that is.
        autodiscover_modules("endings")
