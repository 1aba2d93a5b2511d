from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        # Each app registers what it derives from recordings, what it adds to an export, and which
        # of its actions end a permission: from here on those are journaled.
        autodiscover_modules("hooks")
