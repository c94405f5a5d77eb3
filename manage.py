#!/usr/bin/env python
"""Plumbline's command line."""

import errno
import os
import sys


def main() -> None:
    found = sys.version_info[:2]
    if found < (3, 11):
        sys.exit(
            f"Plumbline needs Python 3.11 or newer; this is {found[0]}.{found[1]}. Install it, then run `make setup`."
        )
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.exit("The disk is full. Make room for PLUMBLINE_VAR (var/ when it is not set), then start again.")


if __name__ == "__main__":
    main()
