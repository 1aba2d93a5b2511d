#!/usr/bin/env python
"""Django's command line for Backline."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    from portal.machine import private, starting

    private.set_umask()
    with starting.without_collector():
        import django
        from django.core.management import execute_from_command_line

        django.setup()
    execute_from_command_line(sys.argv)
