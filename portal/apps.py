from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        # Each room says what it makes of recordings, what it adds to an export, and what of its
        # acts ends a permission: from here on those are journaled.
        autodiscover_modules("hooks")
