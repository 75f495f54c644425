"""`python -m tests.access.write` writes docs/access-matrix.txt."""

from __future__ import annotations

import os
from pathlib import Path

import django

MATRIX = Path(__file__).resolve().parent.parent.parent / "docs" / "access-matrix.txt"

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "synqmgr.settings")
    django.setup()
    from tests.access.cells import rendered

    MATRIX.write_text(rendered())
