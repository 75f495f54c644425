"""The request as the server makes it, before any middleware can refuse it."""

from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIRequest


class BareRequest(WSGIRequest):
    """Takes the media type of a body and nothing else of its header.

    JSON is UTF-8, so the parameters say nothing. Django would read the query in their `charset`, which fails
    for some encodings while the request is being made, where no answer can be given.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        environ["CONTENT_TYPE"] = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        super().__init__(environ)
