"""Reading, keeping, finding and applying mappings."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Q

from catalog.mappings.evaluation import POOL, MappingFailedError
from catalog.mappings.models import Mapping, MappingVersion
from core.columns import is_id
from core.documents import DocumentError, read_yaml
from core.errors import InvalidError, MalformedBodyError, Parameter
from core.parsing import check_json

_LONGEST_NUMBER = 9  # digits of a version


@dataclasses.dataclass(frozen=True, slots=True)
class Located:
    """What a reference names: a mapping and one of its versions."""

    mapping_id: str
    version: int


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """A mapping's document, the value it holds, and what is wrong with its expressions."""

    text: str
    template: Any
    errors: list[str]


def read_document(*, text: str) -> Document:
    """Reads a document and compiles its expressions, in another process; none is evaluated. Call it without a lock."""
    template = read_yaml(text)
    if not isinstance(template, dict | str):
        raise DocumentError("the document must be an object whose texts are expressions, or one expression")
    answer = POOL.ask({"check": template})
    if "failure" in answer:
        return Document(text, template, [_worded(answer.get("place", ""), answer["failure"])])
    return Document(text, template, [f"{place or 'the expression'}: {message}" for place, message in answer["errors"]])


def keep_version(*, mapping: Mapping, template: Any) -> None:
    """Keeps a mapping that was just saved as a version of its own."""
    MappingVersion.in_scope(
        mapping=mapping, version=mapping.version, data=mapping.data, template=template, created_at=mapping.updated_at
    ).save(force_insert=True)


def locate(*, references: Iterable[str]) -> dict[str, Located]:
    """Where references lead that name something: `name`, `id`, and either with `:version` behind it."""
    split = {each: _split(each) for each in references}
    ids = {identifier for identifier, _ in split.values() if is_id(identifier)}
    names = {identifier for identifier, _ in split.values()} - ids
    rows = [
        *(Mapping.objects.filter(id__in=ids).values_list("id", "name", "version") if ids else ()),
        *(Mapping.objects.filter(name__in=names).values_list("id", "name", "version") if names else ()),
    ]
    newest = {key: (row[0], row[2]) for row in rows for key in row[:2]}
    found = {}
    for each, (identifier, version) in split.items():
        if identifier in newest:
            mapping_id, latest = newest[identifier]
            if version is None or 1 <= version <= latest:  # versions have no gaps
                found[each] = Located(mapping_id, version or latest)
    return found


def _split(reference: str) -> tuple[str, int | None]:
    """A reference as identifier and version; -1 for what is no version."""
    if "\x00" in reference:
        return "", -1  # which names nothing
    identifier, colon, version = reference.lower().partition(":")  # names are compared without case
    if not colon:
        return identifier, None
    is_number = version.isascii() and version.isdigit() and len(version) <= _LONGEST_NUMBER
    return identifier, int(version) if is_number else -1


def find_version(*, located: Located) -> MappingVersion:
    version: MappingVersion = MappingVersion.objects.get(mapping_id=located.mapping_id, version=located.version)
    return version


@dataclasses.dataclass(frozen=True, slots=True)
class Chain:
    """Mappings one after the other, in the versions that their references named when it was looked up."""

    references: Sequence[str]
    documents: Sequence[Any]
    at: str

    def apply(self, data: dict[str, Any]) -> dict[str, Any]:
        """The output: each mapping's is the input of the next. No table is read."""
        answer = POOL.ask({"documents": self.documents, "data": data})
        if "failure" not in answer:
            try:
                check_json(answer["value"])
            except MalformedBodyError as error:
                raise MappingFailedError(f"the output: {error.message}", at=Parameter("body", self.at)) from None
            output: dict[str, Any] = answer["value"]
            return output
        number, _, place = answer.get("place", "").partition("/")
        step = int(number) if number.isdigit() else 0
        message = _worded(f"/{place}" if place else "", answer["failure"])
        raise MappingFailedError(
            f"{self.references[step]}: {message}",
            at=Parameter("body", f"{self.at}/{step}", self.references[step][:200]),
        )


def find_chain(*, references: Sequence[str], at: str = "/mappings") -> Chain:
    """The chain that references name. `at` is where in the body they stand."""
    located = locate(references=references)
    for i, each in enumerate(references):
        if each not in located:
            raise InvalidError(f"{at}/{i}: does not exist", at=Parameter("body", f"{at}/{i}", each[:200]))
    wanted = (Q(mapping_id=each.mapping_id, version=each.version) for each in set(located.values()))
    versions = MappingVersion.objects.filter(functools.reduce(operator.or_, wanted))
    templates = {Located(id_, n): found for id_, n, found in versions.values_list("mapping_id", "version", "template")}
    for i, each in enumerate(references):
        if located[each] not in templates:  # deleted since it was located
            raise InvalidError(f"{at}/{i}: does not exist", at=Parameter("body", f"{at}/{i}", each[:200]))
    return Chain(references, [templates[located[each]] for each in references], at)


def _worded(place: str, failure: str) -> str:
    return f"{place or 'the document'}: {failure}"
