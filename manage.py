#!/usr/bin/env python
"""Plumbline's command line."""

import os
import sys


def main() -> None:
    found = sys.version_info[:2]
    if found < (3, 11):
        sys.exit(
            f"Plumbline needs Python 3.11 or newer; this is {found[0]}.{found[1]}. Install it, then run `make setup`."
        )
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
