"""Modules that are imported when they are first used: large ones, which most workers never need."""

from __future__ import annotations

import importlib
from typing import Any


class LateModule:
    """Stands for a module and imports it by the first look at what is in it.

    Each worker would hold the word lists that judge passwords and the XML of SAML, a quarter of its memory, for
    requests that few workers ever see. Type checkers are shown the import itself, under `TYPE_CHECKING`.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(importlib.import_module(self._name), attribute)
        self.__dict__[attribute] = value  # asked for once: from here on it is found without coming here
        return value
