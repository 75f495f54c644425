"""Addresses of identity providers: https, unless the operator has opened the network of a plain one."""

from __future__ import annotations

from django.conf import settings
from rest_framework.exceptions import ValidationError

from core.fields import StringField
from core.outbound import OutboundRefusedError
from core.outbound.destination import Destination, parse_url
from core.outbound.networks import is_inside, parse_networks


def is_acceptable(destination: Destination) -> bool:
    """Whether a browser may be sent there: by https, or into a network that the operator has opened."""
    if destination.scheme == "https":
        return True
    opened = parse_networks(tuple(settings.OUTBOUND_ALLOW))
    return destination.address is not None and is_inside(destination.address, opened)


class ProviderUrlField(StringField):
    """An https address of an identity provider."""

    default_error_messages = {
        "address": "must be an https address without user name, password or fragment",
        "query": "must not have a query",
    }

    def __init__(self, *, may_have_query: bool = True, **kwargs: object) -> None:
        super().__init__(max_length=2048, **kwargs)
        self.may_have_query = may_have_query

    def to_internal_value(self, data: object) -> str:
        text = super().to_internal_value(data)
        try:
            destination = parse_url(text)
        except OutboundRefusedError:
            self.fail("address")
        if not is_acceptable(destination):
            self.fail("address")
        if "?" in text and not self.may_have_query:
            self.fail("query")
        return text


class DomainField(StringField):
    """The part of an e-mail address behind the `@`."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(max_length=253, **kwargs)

    def to_internal_value(self, data: object) -> str:
        text = super().to_internal_value(data).lower()
        try:
            is_name = parse_url(f"https://{text}").host == text and "." in text
        except OutboundRefusedError:
            is_name = False
        if not is_name:
            raise ValidationError("must be a domain such as example.com")
        return text
