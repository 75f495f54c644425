"""The JSON Patch corpus sent as PATCH requests, through authentication, the reader and the problem shape.

The corpus patches documents of every shape, so it is mounted on documents kept here; resources patch theirs by the
same code, which `tests/contract` proves for each.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse

from core.patch import patch_value
from core.routing import addresses
from core.views import ScopedViewSet
from tests.api import JSON, JSON_PATCH, Api

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
NAMES = ("json-patch-tests.json", "json-patch-spec-tests.json")
CASES = [
    case
    for name in NAMES
    if (CORPORA / name).exists()
    for case in json.loads((CORPORA / name).read_bytes())
    if not case.get("disabled")
]


class DocumentViewSet(ScopedViewSet):
    """Documents of the corpus, by their place in it."""

    resource = "accounts"
    actions = ("partial_update",)
    lookup_url_kwarg = "place"
    lookup_value_converter = "int"

    def partial_update(self, request: HttpRequest, place: int) -> HttpResponse:
        return self.json({"result": patch_value(CASES[place]["doc"], self.body())})


urlpatterns = addresses([("documents", DocumentViewSet)], under="v1/")
pytestmark = pytest.mark.urls(__name__)


@pytest.mark.parametrize("content_type", [JSON, JSON_PATCH])
def test_patch__corpus_over_http__agrees_in_every_case(acme: Api, content_type: str) -> None:
    if not CASES:
        pytest.skip(f"the corpus json-patch/json-patch-tests is not at {CORPORA}")
    assert len(CASES) == 108
    for place, case in enumerate(CASES):
        answer = acme.request("PATCH", f"/v1/documents/{place}", case["patch"], content_type=content_type)
        shown: dict[str, Any] = answer.json()
        if "expected" in case:
            assert answer.status_code == 200, (case, shown)
            assert shown["result"] == case["expected"], case
        elif "error" in case:
            assert answer.status_code in (400, 409), (case, shown)
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert shown["status"] == answer.status_code
            assert shown["context"]["parameter"]["location"] == "body"
        else:
            assert answer.status_code == 200, (case, shown)
