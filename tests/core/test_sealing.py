"""Sealed values: an envelope opens in its own place, whole, or not at all."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from pytest_django import DjangoAssertNumQueries, Settings

from core.columns import new_id
from core.crypto import sealing
from core.crypto.hashing import forget_keys, keyed_hash
from core.crypto.hierarchy import (
    OpenedKey,
    create_organization_key,
    organization_key,
    rotate_organization_key,
    shred_organization,
)
from core.crypto.keyring import reset_keyring
from core.crypto.models import OrganizationKey
from core.crypto.primitives import authenticate, decrypt, derive, encrypt, pack, same
from core.crypto.sealing import Place, SealError, open_sealed, seal
from core.tenancy import unscoped

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
SECRET = b"canary-7f3a-password"


@pytest.fixture(autouse=True)
def root_keys(nothing_stored: None, settings: Settings) -> None:
    settings.ROOT_KEYS = "1:" + base64.b64encode(bytes(range(32))).decode()
    reset_keyring()
    forget_keys()


@pytest.fixture
def place(db: None) -> Iterator[Place]:
    organization = new_id()
    with unscoped("what keeps organizations apart here is the cipher"):
        create_organization_key(organization_id=organization)
        yield Place(organization, "account", new_id(), new_id(), 1)


def vectors(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    path = CORPORA / f"wycheproof-{name}.json"
    if not path.exists():
        pytest.skip(f"the vectors {path} are not here")
    groups = json.loads(path.read_text())["testGroups"]
    return [(group, test) for group in groups for test in group["tests"]]


@pytest.mark.parametrize("plaintext", [b"", b"x", SECRET, bytes(range(256)) * 256], ids=len)
def test_seal__any_length__opens_in_its_place(place: Place, plaintext: bytes) -> None:
    assert open_sealed(place, seal(place, plaintext)) == plaintext


def test_seal__same_value_twice__shares_nothing_but_the_header(place: Place) -> None:
    first, second = seal(place, SECRET), seal(place, SECRET)
    assert first[:8] == second[:8]
    assert all(first[at : at + 12] != second[at : at + 12] for at in range(8, len(first) - 12))
    assert SECRET not in first


@pytest.mark.parametrize("member", [field.name for field in dataclasses.fields(Place)])
def test_open__in_another_place__is_refused(place: Place, member: str) -> None:
    other: dict[str, Any] = {"organization_id": new_id(), "owner_type": "bridge", "owner_id": new_id()}
    other |= {"credential_id": new_id(), "version": 2}
    create_organization_key(organization_id=other["organization_id"])
    elsewhere = dataclasses.replace(place, **{member: other[member]})
    with pytest.raises(SealError):
        open_sealed(elsewhere, seal(place, SECRET))
    with pytest.raises(SealError):
        open_sealed(place, seal(elsewhere, SECRET))


def test_open__members_shifted_between_neighbours__is_refused(place: Place) -> None:
    left = dataclasses.replace(place, owner_type="account", owner_id="s1")
    right = dataclasses.replace(place, owner_type="accounts", owner_id="1")
    with pytest.raises(SealError):
        open_sealed(right, seal(left, SECRET))


def test_open__another_organization_with_the_same_key__is_refused(place: Place) -> None:
    envelope = seal(place, SECRET)
    key = organization_key(organization_id=place.organization_id)
    with pytest.raises(SealError):
        sealing._open_under(key, dataclasses.replace(place, organization_id=new_id()), envelope, sealing.FORMAT)


def test_open__any_bit_flipped__is_refused(place: Place) -> None:
    rotate_organization_key(organization_id=place.organization_id)
    envelope = seal(place, SECRET)
    for bit in range(8 * len(envelope)):
        flipped = bytearray(envelope)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealError):
            open_sealed(place, bytes(flipped))


def test_open__cut_or_extended__is_refused(place: Place) -> None:
    envelope = seal(place, SECRET)
    for broken in [*(envelope[:size] for size in range(len(envelope))), envelope + b"\0", SECRET]:
        with pytest.raises(SealError):
            open_sealed(place, broken)


def test_open__parts_of_two_envelopes_joined__is_refused(place: Place) -> None:
    first, second = seal(place, SECRET), seal(place, b"another value")
    for cut in (sealing._HEADER.size, sealing._COMMITMENT_AT, sealing._CONTENT_AT):
        if first[:cut] != second[:cut]:
            with pytest.raises(SealError):
                open_sealed(place, first[:cut] + second[cut:])


def test_open__content_under_a_key_not_committed_to__is_refused(place: Place) -> None:
    """A data key that fits the content, behind the commitment to another, does not open it."""
    key = organization_key(organization_id=place.organization_id)
    envelope = sealing._seal_under(key, place, SECRET)
    foreign = sealing._two_keys(sealing.FORMAT, b"k" * 32)[1]
    forged = envelope[: sealing._COMMITMENT_AT] + foreign + envelope[sealing._CONTENT_AT :]
    with pytest.raises(SealError, match="commit"):
        open_sealed(place, forged)


def test_open__older_format__opens_as_ever() -> None:
    """What version 0.1 sealed under its first format, with the key and for the place that stand here."""
    place = Place("01900000-0000-7000-8000-000000000001", "account", "01900000-0000-7000-8000-000000000002",
                  "01900000-0000-7000-8000-000000000003", 4)  # fmt: skip
    envelope = base64.b64decode(
        "c3FtMQAAAAGfNRN0fPvuCZdiOhl07Tcw8WL0jGd1zoJZ3RKFHjh9vxol741rP2L6l7m4lP0qkwWYD0GDeIzlwiCaWhJIooTCNcsD473D"
        "6TYbzk5Nn9hiMG8V7aWKEK5kTIQd7A3PxhgH8chEUgYs0GeBor3FjV5w2w9ALB3yXVQzSZE+lU8KXuBjHM0p"
    )
    key = OpenedKey(1, bytes(range(32)))
    assert sealing._open_under(key, place, envelope, b"sqm1") == b"sealed before"
    with pytest.raises(SealError):  # the name of the format is sealed as well
        sealing._open_under(key, place, sealing.FORMAT + envelope[4:], sealing.FORMAT)


def test_open__older_generation__stays_readable_until_shredded(place: Place) -> None:
    old = seal(place, SECRET)
    assert rotate_organization_key(organization_id=place.organization_id) == 2
    new = seal(place, SECRET)
    assert (old[4:8], new[4:8]) == (b"\0\0\0\1", b"\0\0\0\2")
    assert open_sealed(place, old) == open_sealed(place, new) == SECRET
    OrganizationKey.objects.filter(generation=1).delete()
    assert open_sealed(place, new) == SECRET
    with pytest.raises(SealError, match="generation"):
        open_sealed(place, old)


def test_open__after_shredding__is_refused_at_once_and_alone(place: Place) -> None:
    neighbour = dataclasses.replace(place, organization_id=new_id())
    create_organization_key(organization_id=neighbour.organization_id)
    envelope, other = seal(place, SECRET), seal(neighbour, SECRET)
    assert shred_organization(organization_id=place.organization_id) == 1
    with pytest.raises(SealError):
        open_sealed(place, envelope)
    with pytest.raises(SealError):
        seal(place, SECRET)
    create_organization_key(organization_id=place.organization_id)
    with pytest.raises(SealError):
        open_sealed(place, envelope)
    assert open_sealed(neighbour, other) == SECRET


@pytest.mark.parametrize("organization", ["", "acme", "\0", "00000000-0000-0000-0000-00000000000G"])
def test_seal__organization_that_is_no_id__is_refused(place: Place, organization: str) -> None:
    with pytest.raises(SealError):
        seal(dataclasses.replace(place, organization_id=organization), SECRET)


def test_seal_error__any_refusal__holds_no_content(place: Place) -> None:
    envelope = seal(place, SECRET)
    for broken in (envelope[:-1] + b"\0", envelope[:20], b"x" * 200):
        with pytest.raises(SealError) as refused:
            open_sealed(place, broken)
        assert SECRET.decode() not in repr(refused.value)
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_organization_key__shown__hides_the_secret(place: Place) -> None:
    key = organization_key(organization_id=place.organization_id)
    assert repr(key) == "OpenedKey(generation=1)"


def test_open__one_value__costs_one_query(place: Place, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    envelope = seal(place, SECRET)
    with django_assert_num_queries(1):
        open_sealed(place, envelope)


def test_pack__different_lists__never_look_alike() -> None:
    lists = [(), (b"",), (b"", b""), (b"ab",), (b"a", b"b"), (b"b", b"a"), (b"\0\0\0\1a",)]
    assert len({pack(*parts) for parts in lists}) == len(lists)


def test_primitives__wycheproof_aes_gcm__agree() -> None:
    run = 0
    for group, test in vectors("aes_gcm"):
        if (group["keySize"], group["ivSize"], group["tagSize"]) != (256, 96, 128):
            continue
        key, nonce, aad, message, box, tag = (
            bytes.fromhex(test[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        run += 1
        if test["result"] == "valid":
            assert encrypt(key, nonce, message, aad) == box + tag, test["tcId"]
            assert decrypt(key, nonce, box + tag, aad) == message, test["tcId"]
        else:
            with pytest.raises(InvalidTag):
                decrypt(key, nonce, box + tag, aad)
    assert run == 66


def test_primitives__wycheproof_other_sizes__are_refused() -> None:
    run = 0
    for group, test in vectors("aes_gcm"):
        if (group["keySize"], group["ivSize"]) != (256, 96):
            run += 1
            with pytest.raises(ValueError, match="32 bytes"):
                encrypt(bytes.fromhex(test["key"]), bytes.fromhex(test["iv"]), b"", b"")
    assert run > 0


def test_primitives__wycheproof_hkdf__agree() -> None:
    run = 0
    for _, test in vectors("hkdf_sha256"):
        secret, salt, info = (bytes.fromhex(test[name]) for name in ("ikm", "salt", "info"))
        run += 1
        if test["result"] == "valid":
            assert derive(secret, info, test["size"], salt or None).hex() == test["okm"], test["tcId"]
        else:
            with pytest.raises(ValueError, match=r"[Cc]annot derive"):
                derive(secret, info, test["size"], salt or None)
    assert run > 0


def test_primitives__wycheproof_hmac__agree() -> None:
    run = 0
    for group, test in vectors("hmac_sha256"):
        if group["tagSize"] != 256:
            continue
        run += 1
        mac = authenticate(bytes.fromhex(test["key"]), bytes.fromhex(test["msg"]))
        assert same(mac, bytes.fromhex(test["tag"])) is (test["result"] == "valid"), test["tcId"]
    assert run > 0


def test_keyed_hash__same_secret__is_stable_and_apart_by_purpose(db: None) -> None:
    first = keyed_hash("secret")
    forget_keys()
    assert first == keyed_hash("secret")
    assert len(first) == 32
    assert len({first, keyed_hash("secret", "session"), keyed_hash("Secret")}) == 3


def test_keyed_hash__any_text__has_a_hash(db: None) -> None:
    texts = ["", "\0", "é", "\ud800", "\udfff", "x" * 100_000]
    assert len({keyed_hash(text) for text in texts}) == len(texts)
