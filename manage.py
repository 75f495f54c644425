#!/usr/bin/env python
"""Command line of the project: `python manage.py help` lists the commands."""

import os
import sys

from django.core.management import execute_from_command_line

from core.environment import refusing

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "synqmgr.settings")
    with refusing():
        execute_from_command_line(sys.argv)
