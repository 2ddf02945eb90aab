#!/usr/bin/env python
"""Django's own door to every command."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as problem:
        # A deployment mistake is answered with its one sentence, not a traceback.
        sys.exit(f"Attune can't start: {problem}")


if __name__ == "__main__":
    main()
