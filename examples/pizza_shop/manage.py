#!/usr/bin/env python
"""Django's command line for the pizza shop."""

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    """Run one of Django's management commands."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pizza_shop.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
