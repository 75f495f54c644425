"""What a member may be called: an e-mail address, or the identifier of a service."""

from __future__ import annotations

import re

from core.columns import is_id

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(rf"[a-z0-9!#$%&'*+/=?^_`{{|}}~.-]{{1,64}}@(?:{_LABEL}\.)*{_LABEL}\Z")
_SERVICE = re.compile(r"~?[a-z0-9_-]{1,128}\Z")
LONGEST_EMAIL = 254  # characters


def is_email(text: str) -> bool:
    """Whether a text in lower case is an e-mail address. ASCII alone: of other letters several have one lower case."""
    return len(text) <= LONGEST_EMAIL and _EMAIL.match(text) is not None


def is_identifier(text: str) -> bool:
    """Whether a text in lower case may be the name of a service."""
    return _SERVICE.match(text) is not None and not is_id(text)
