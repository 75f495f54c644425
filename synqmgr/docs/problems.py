"""The pages that `type` of a problem leads to, made from the error classes."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.errors import NotFoundError, ProblemError
from core.kinds import kinds, meaning
from synqmgr.docs.pages import page

_STYLES = ("docs/problems.css",)
_INTRODUCTION = """<h1>Problems</h1>
<p>Every error of the API is answered as <code>application/problem+json</code>. Its <code>type</code> is the address of
one of these pages. Types are stable; messages may change.</p>
<table>
<thead><tr><th>Type</th><th>Status</th><th>Meaning</th></tr></thead>
<tbody>
{}
</tbody>
</table>
<p><a href="/docs">API docs</a></p>"""
_ROW = '<tr><td><a href="/problems/{}"><code>{}</code></a></td><td>{}</td><td>{}</td></tr>'
_KIND = """<h1>{}</h1>
<p class="status">{}</p>
<h2>What it means</h2>
{}
<h2>What to do</h2>
<p>{}</p>
<p><a href="/problems">All problems</a> · <a href="/docs">API docs</a></p>"""


def index(request: HttpRequest) -> HttpResponse:
    """`/problems`: every kind, by status."""
    rows = _joined(
        format_html(_ROW, slug, slug, kind.status, _prose(meaning(kind).partition("\n\n")[0]))
        for slug, kind in kinds().items()
    )
    return page("Problems", styles=_STYLES, body=format_html(_INTRODUCTION, rows))


def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """`/problems/<slug>`: one kind."""
    kind = kinds().get(slug)
    if kind is None:
        raise NotFoundError(f"there is no kind of problem {slug[:100]!r}")
    paragraphs = _joined(format_html("<p>{}</p>", _prose(text)) for text in meaning(kind).split("\n\n"))
    return page(slug, styles=_STYLES, body=format_html(_KIND, slug, _status(kind), paragraphs, _prose(kind.remedy)))


def _status(kind: type[ProblemError]) -> str:
    if kind.status < 400:
        return "A remark in the answer of a request that succeeded"
    return f"HTTP status {kind.status} {HTTPStatus(kind.status).phrase}"


def _prose(text: str) -> SafeString:
    """A text whose backticks hold code."""
    parts = text.split("`")
    return _joined(format_html("<code>{}</code>" if i % 2 else "{}", part) for i, part in enumerate(parts))


def _joined(parts: Iterable[SafeString]) -> SafeString:
    listed = list(parts)
    return format_html("{}" * len(listed), *listed)
