"""Provider configurations: validated, their credentials found, their other secrets masked."""

from __future__ import annotations

import copy
import dataclasses
import secrets
from collections.abc import Iterator
from typing import Any

from catalog.customs.models import Custom
from catalog.customs.providers import TYPE as CUSTOM_TYPE
from catalog.customs.providers import provider_of
from catalog.customs.services import find_custom
from catalog.members import walk, without_nulls
from catalog.registry import Provider, get_provider
from core.errors import InvalidError, Parameter
from core.masking import MASK
from core.parsing import pointer_steps

PROVIDER_KEY, WEBHOOK_KEY = (
    "webhook provider key",
    "webhook key of ",
)  # names of values that are not in the configuration


class ProviderConfigError(InvalidError):
    """A provider configuration breaks its provider's schema."""

    slug = "invalid-provider-config"
    remedy = "Follow the provider's schema: GET /v1/capabilities/providers/{type}?expand=provider_config shows it."


@dataclasses.dataclass(frozen=True, slots=True)
class ReadConfig:
    """A valid configuration without nulls, its provider, and its definition if that is a custom one."""

    provider: Provider
    config: dict[str, Any]
    custom: Custom | None = None


def read_config(config: dict[str, Any], prefix: str = "") -> ReadConfig:
    """What a configuration is, or the problem with it. A custom provider is referred to by its id from here on."""
    type_ = config.get("type")
    provider = get_provider(type_) if isinstance(type_, str) else None
    pointer = f"{prefix}/provider_config"
    if provider is None:
        raise ProviderConfigError(f"{pointer}/type: is no provider's type", at=Parameter("body", f"{pointer}/type"))
    refuse_invalid(provider, config, pointer)
    present: dict[str, Any] = without_nulls(config)
    if provider.id != CUSTOM_TYPE:
        return ReadConfig(provider, present)
    custom = find_custom(identifier=present["custom_id"])
    if custom is None:
        at = Parameter("body", f"{pointer}/custom_id", present["custom_id"])
        raise InvalidError(f"{at.id}: does not exist", at=at)
    present["custom_id"] = custom.id
    provider = provider_of(custom)
    refuse_invalid(provider, present, pointer)
    return ReadConfig(provider, present, custom)


def refuse_invalid(provider: Provider, config: dict[str, Any], pointer: str) -> None:
    """Raises one problem for all that is wrong with a configuration."""
    causes = [
        ProviderConfigError(f"{pointer}{e.pointer}: {e.message}", at=Parameter("body", pointer + e.pointer))
        for e in provider.validate(config)
    ]
    if len(causes) > 1:
        message = f"{len(causes)} members of the provider configuration are wrong"
        raise ProviderConfigError(message, at=causes[0].at, causes=causes)
    if causes:
        raise causes[0]


def replace_at(document: dict[str, Any], pointer: str, value: Any) -> None:
    """Puts a value where a pointer to an existing member leads."""
    *steps, last = pointer_steps(pointer)
    target: Any = document
    for step in steps:
        target = target[int(step)] if isinstance(target, list) else target[step]
    target[int(last) if isinstance(target, list) else last] = value


def secret_texts(provider: Provider, config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The pointer and text of every secret that is not a credential, such as a subscription key."""
    for pointer, schema, value in walk(provider.schema, provider.schema, config):
        if schema.get("x-secret"):
            yield from _texts(pointer, value)


def _texts(pointer: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}", inner)


def kept_text(kept: dict[str, str], name: str, pointer: str) -> str:
    """What a masked value stands for; refused when nothing is kept under the name."""
    if name not in kept:
        at = Parameter("body", pointer)
        raise InvalidError(f"{pointer}: `{MASK}` stands for a value that is kept, and none is", at=at)
    return kept[name]


def mask_config(
    provider: Provider, config: dict[str, Any], kept: dict[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """A configuration with its secrets masked, and the secrets by pointer. A mask sent back keeps what is kept."""
    masked, values = copy.deepcopy(config), {}
    for pointer, text in secret_texts(provider, config):
        values[pointer] = kept_text(kept, pointer, f"/provider_config{pointer}") if text == MASK else text
        replace_at(masked, pointer, MASK)
    return masked, values


def unmask_config(provider: Provider, config: dict[str, Any], kept: dict[str, str], prefix: str = "") -> dict[str, Any]:
    """The configuration with what its masks stand for, for a call to the provider."""
    whole = copy.deepcopy(config)
    for pointer, text in secret_texts(provider, config):
        if text == MASK:
            replace_at(whole, pointer, kept_text(kept, pointer, f"{prefix}/provider_config{pointer}"))
    return whole


def mask_webhooks(
    webhooks: dict[str, Any] | None, kept: dict[str, str]
) -> tuple[dict[str, Any] | None, dict[str, str], dict[str, str]]:
    """A webhook configuration with its keys masked, the keys by name, and those made here by address.

    An item without a key has the one that its address had, or a new one.
    """
    if webhooks is None:
        return None, {}, {}
    masked, values, made = copy.deepcopy(webhooks), {}, {}
    if (key := webhooks.get("provider_key")) is not None:
        pointer = "/webhook_config/provider_key"
        values[PROVIDER_KEY] = kept_text(kept, PROVIDER_KEY, pointer) if key == MASK else key
        masked["provider_key"] = MASK
    for i, item in enumerate(masked["items"]):
        name, key = f"{WEBHOOK_KEY}{item['webhook_url']}", item.get("integrator_key")
        if key == MASK:
            key = kept_text(kept, name, f"/webhook_config/items/{i}/integrator_key")
        if key is None and (key := kept.get(name)) is None:
            key = made[item["webhook_url"]] = secrets.token_urlsafe(32)
        values[name], item["integrator_key"] = key, MASK
    return masked, values, made
