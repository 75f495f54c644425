"""The schema of one operation: its name, words, parameters, body and answers, from what its viewset is."""

from __future__ import annotations

from typing import Any

from drf_spectacular.drainage import warn
from drf_spectacular.plumbing import ResolvedComponent

from core.kinds import ProblemSerializer
from core.patch import MAX_OPERATIONS
from core.schema import parameters, problems, wording
from core.schema.declarations import Operation
from core.schema.members import MemberSchema, instance_of
from core.schema.patching import PatchOperationSerializer, with_conditions
from core.schema.values import Schema

JSON = "application/json"


class ResourceSchema(MemberSchema):
    """The schema of any viewset of this service."""

    @property
    def operation(self) -> Operation:
        return Operation(self.view, self.path, self.method)

    def get_operation_id(self) -> str:
        return f"{self.operation.group}_{self.operation.name}"

    def get_tags(self) -> list[str]:
        return [self.operation.group]

    def get_summary(self) -> str:
        return wording.summary_of(self.operation)

    def get_description(self) -> str:  # type: ignore[override]
        return wording.description_of(self.operation)

    def _get_parameters(self) -> list[Schema]:
        return parameters.parameters_of(self.operation, self.define)

    # --- body --------------------------------------------------------------------------------------

    def request_class(self) -> Any:
        """The serializer of the body, if there is one."""
        return self.operation.view.body_class()

    def _get_request_body(self, direction: Any = "request") -> Schema | None:
        if self.method == "PATCH":
            items = self.component(PatchOperationSerializer, "request")
            with_conditions(self.registry)
            schema: Schema = {"type": "array", "items": items, "maxItems": MAX_OPERATIONS}
            # `application/json-patch+json` is read as well; of two media types generated clients make two bodies.
            return {"required": True, "content": {JSON: {"schema": schema}}}
        if (serializer := self.request_class()) is None:
            return None
        reference = self.component(serializer, "request")
        content: Schema = {"schema": reference}
        if (example := self.operation.declared("examples")) is not None:
            content["example"] = example
        return {"required": not self.operation.has_optional_body, "content": {self.operation.media_type: content}}

    def component(self, serializer: Any, direction: Any) -> Schema:
        """The reference to a serializer's component."""
        return self.resolve_serializer(instance_of(serializer), direction).ref

    # --- answers -----------------------------------------------------------------------------------

    def _get_response_bodies(self, direction: Any = "response") -> Schema:
        operation = self.operation
        for name, header in parameters.HEADERS.items():
            self.define(name, header, ResolvedComponent.HEADER)
        answers = self.good_answers(operation)
        if operation.is_conditional:
            answers["304"] = self.answer("The object is still the one that `If-None-Match` names.", "ETag")
        body = self._get_request_body() is not None
        problem = self.component(ProblemSerializer, "response")
        for status in problems.statuses_of(operation, body=body, secured=bool(self.get_auth())):
            component = problems.answer(status, problem)
            answers[str(status)] = self.define(problems.answer_name(status), component, ResolvedComponent.RESPONSE)
        if operation.heeds_key and "200" in answers:
            name = "Idempotent-Replayed"
            answers["200"]["headers"][name] = {"$ref": f"#/components/headers/{name}"}
        return answers

    def good_answers(self, operation: Operation) -> Schema:
        """The answer of an operation that succeeds."""
        declared = operation.declared("responses")
        if operation.is_redirect:
            return {"303": self.answer("The browser is sent on.", "Location")}
        if operation.has_own_answer:
            if declared is None:
                return {"204": self.answer("Done.")}
            content = declared if isinstance(declared, dict) else {JSON: self.component(declared, "response")}
            content = {media: {"schema": schema} for media, schema in content.items()}
            headers = ["ETag"] if operation.has_tag else []
            return {"200": self.answer("Done.", *headers) | {"content": content}}
        if operation.shape == "delete":
            return {"204": self.answer("The object is deleted.")}
        headers = ["Link"] if operation.is_paged else ["ETag"] if operation.has_tag else []
        description = f"A page of {operation.nouns}." if operation.is_paged else f"The {operation.noun}."
        content = {JSON: {"schema": self.define(operation.answer_name, self.envelope(operation))}}
        return {"200": self.answer(description, *headers) | {"content": content}}

    def envelope(self, operation: Operation) -> Schema:
        """`result` around what an operation answers."""
        serializer = operation.declared("results") or getattr(self.view, "serializer_class", None)
        if serializer is None:
            warn(f"{operation.group}_{operation.name}: the viewset declares neither `results` nor `responses` for it")
        result = self.component(serializer, "response") if serializer else {}
        properties: Schema = {"result": result}
        if operation.shape == "list":
            properties["result"] = {
                "type": "array",
                "items": result,
                "description": f"The {operation.nouns}, in order.",
            }
        if operation.is_paged and operation.view.totals:
            text = "How many objects the filters keep, when `total` asks for it."
            properties["total"] = {"type": "integer", "minimum": 0, "description": text}
        return {"type": "object", "properties": properties, "required": ["result"]}

    @staticmethod
    def answer(description: str, *headers: str) -> Schema:
        named = {name: {"$ref": f"#/components/headers/{name}"} for name in (*headers, "X-Request-Id")}
        return {"description": description, "headers": named}
