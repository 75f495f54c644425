"""The sentences of the API docs that follow from what an operation or a member is."""

from __future__ import annotations

import inspect
import re
from typing import Any

import inflection
import uritemplate

from core.schema.declarations import Operation, with_article
from core.serializers import ResourceSerializer

_SUMMARIES = {
    "list": "List {nouns}",
    "get": "Get {a_noun}",
    "create": "Create {a_noun}",
    "update": "Update {a_noun}",
    "patch": "Patch {a_noun}",
    "delete": "Delete {a_noun}",
}
_DESCRIPTIONS = {
    "list": "Lists {nouns}{of_owner} a page at a time, in the order of {lead}. `filter` narrows the list, `order` "
    "sorts it, and `start_after` continues after the last object of the page before.",
    "get": "Shows {the_noun}.{cheaply}",
    "create": "Creates {a_noun} and shows it.{names}",
    "update": "Replaces {the_noun} by the body, which carries the whole object: an optional member that is left out is "
    "removed.{same} A different `updated_at` means that somebody else has changed the object since you read "
    "it and is answered with 409; `If-Match` does the same and is answered with 412.",
    "patch": "Changes {the_noun} by a JSON Patch (RFC 6902) of at most 100 operations, applied to the object as it is "
    "shown by a read. Either all operations take effect or none. The result must be an object that an "
    "update would accept.{untouchable}",
    "delete": "Deletes {the_noun}. This cannot be undone.",
}
_CHEAPLY = (
    " Send the `ETag` of an earlier answer as `If-None-Match` to learn cheaply whether it has changed: if not, the "
    "answer is 304 without a body."
)
_SHARED = {
    "id": "Id of the {noun}; the server sets it.",
    "name": "Short name, unique among {nouns} and usable in place of the id.",
    "fullname": "Display name.",
    "created_at": "When the {noun} was created.",
    "updated_at": "When the {noun} last changed.",
    "organization_id": "Id of the organization that the {noun} belongs to.",
    "owner_type": "What kind of object the owner is.",
    "expires": "When the {noun} stops working.",
    "token_ttl": "How long the {noun} is good for, such as `24h`.",
    "token_type": "How the {noun} came to be.",
}
_OF_CREATE = {
    "name": "Short name, unique among {nouns}. Made from `fullname` if not given; the id if that is not given either.",
    "fullname": "Display name. The name if not given.",
}
_OF_UPDATE = {
    "updated_at": "As it was read: the update is refused when the object has changed since. "
    "`0001-01-01T00:00:00Z` updates whatever is there.",
}


def summary_of(operation: Operation) -> str:
    if operation.is_standard:
        rest = operation.name.partition("_")[2]
        if operation.shape == "list" and rest:
            return _filled(_SUMMARIES["list"] + f" of one {rest.replace('_', ' ')}", operation)
        return _filled(_SUMMARIES[operation.shape], operation)
    return re.split(r"[.:;](?:\s|$)", docstring(operation), maxsplit=1)[0]


def description_of(operation: Operation) -> str:
    written = docstring(operation)
    if written and not operation.is_inherited:
        return written
    return _filled(_DESCRIPTIONS.get(operation.shape, ""), operation)


def docstring(operation: Operation) -> str:
    """What the viewset's author has written for the action."""
    method = None if operation.is_inherited else getattr(type(operation.view), operation.action)
    return inspect.cleandoc(method.__doc__ or "") if method is not None else ""


def _filled(text: str, operation: Operation) -> str:
    view = operation.view
    one = getattr(view, "singleton", False)
    meta: Any = getattr(getattr(view, "serializer_class", None), "Meta", None)
    locked = [n for n in (*getattr(meta, "read_only", ()), *getattr(meta, "fixed", ())) if n != "updated_at"]
    owners = uritemplate.variables(operation.path) if operation.shape == "list" else ()
    owner = "".join(f" of one {name.removesuffix('_id').replace('_', ' ')}" for name in owners)
    names = ", ".join(f"`{name}`" for name in locked)
    return text.format(
        noun=operation.noun,
        nouns=operation.nouns,
        a_noun=f"the {operation.noun}" if one else with_article(operation.noun),
        the_noun=f"the {operation.noun}" if one else f"one {operation.noun}, named by id or name",
        of_owner=owner,
        lead=_lead(view),
        cheaply=_CHEAPLY if operation.is_conditional else "",
        names=" Without a `name`, one is made from `fullname`." if operation.is_inherited else "",
        same=f" What cannot be changed must be sent as it is stored: {names}." if names else "",
        untouchable=f" {names} and `updated_at` cannot be targeted." if names else "",
    )


def _lead(view: Any) -> str:
    """What a list is sorted by if nothing else is asked for."""
    if (cursor := getattr(view, "cursor", None)) is not None:
        return f"their {cursor.wording}"
    return "their names" if getattr(view, "unique_names", True) else "their names, then ids"


def member_description(name: str, owner: Any, noun: str) -> str:
    """The description of a member whose field has none of its own."""
    mode = owner.mode if isinstance(owner, ResourceSerializer) else ""
    own = {"create": _OF_CREATE, "update": _OF_UPDATE}.get(mode, {})
    text = own.get(name) or (_SHARED.get(name, "") if isinstance(owner, ResourceSerializer) else "")
    if not text and name.endswith("_id"):
        text = f"Id of the {name.removesuffix('_id').replace('_', ' ')}."
    return text.format(noun=noun, nouns=inflection.pluralize(noun))
