"""Single sign-on configurations: what is kept, what is never shown, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import LazySettings

from core.crypto.sealing import SealError
from identity.sso.models import SsoConfiguration
from identity.sso.services import open_secret
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.identity.sso.configs import OIDC, SAML, make_sso, put_sso
from tests.identity.sso.keys import idp_signer, new_certificate, other_signer
from tests.objects import ok


def without(config: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != name}


def stored(sso: dict[str, Any]) -> SsoConfiguration:
    found: SsoConfiguration = SsoConfiguration.objects.get(id=sso["id"])
    return found


def test_sso__client_secret__is_sealed_and_never_shown(acme: Api, in_acme: None) -> None:
    made = make_sso(acme)
    assert made["identity_provider"] == without(OIDC, "client_secret")
    answers = [acme.get(f"/v1/auth/sso/{made['id']}"), acme.get("/v1/auth/sso"), put_sso(acme, made, OIDC)]
    assert all(b"hush" not in answer.content for answer in answers)
    assert b"hush" not in bytes(stored(made).sealed or b"")
    assert open_secret(stored(made)) == "hush-hush"


def test_sso__by_an_administrator_of_a_part__is_not_changed(acme: Api) -> None:
    """Its provider could sign in whoever administers all."""
    made = make_sso(acme)
    part = acme.issue(resources={"organizations": {"ids": [acme.id]}})
    assert_problem(part.post("/v1/auth/sso", {"fullname": "theirs", "config": OIDC}), 403, "forbidden")
    assert_problem(put_sso(part, made, OIDC | {"client_id": "theirs"}), 403, "forbidden")
    assert_problem(part.delete(f"/v1/auth/sso/{made['id']}"), 403, "forbidden")
    assert ok(acme.get(f"/v1/auth/sso/{made['id']}")) == made


def test_sso__sealed_secret__opens_in_its_own_configuration_only(acme: Api, in_acme: None) -> None:
    one, two = stored(make_sso(acme)), stored(make_sso(acme))
    one.sealed = two.sealed
    with pytest.raises(SealError):
        open_secret(one)


def test_sso__updated_without_secret__keeps_it(acme: Api, in_acme: None) -> None:
    made = make_sso(acme)
    changed = ok(put_sso(acme, made, without(OIDC, "client_secret") | {"client_id": "other"}))
    assert changed["identity_provider"]["client_id"] == "other"
    assert changed["name"] == made["name"]
    assert open_secret(stored(made)) == "hush-hush"
    ok(put_sso(acme, changed, OIDC | {"client_secret": "new"}))
    assert open_secret(stored(made)) == "new"


def test_sso__secret_kept_for_another_issuer__is_refused(acme: Api, in_acme: None) -> None:
    made = make_sso(acme)
    elsewhere = without(OIDC, "client_secret") | {"issuer_url": "https://evil.example"}
    assert_problem(put_sso(acme, made, elsewhere), 400, at="/config/client_secret")
    ok(put_sso(acme, made, elsewhere | {"client_secret": "theirs"}))
    assert open_secret(stored(made)) == "theirs"


def test_sso__type_changed__needs_what_the_new_type_keeps(acme: Api, in_acme: None) -> None:
    made = make_sso(acme)
    assert_problem(put_sso(acme, made, without(SAML, "idp_certificate")), 400, at="/config/idp_certificate")
    ok(put_sso(acme, made, SAML))
    assert stored(made).sealed is None
    assert_problem(put_sso(acme, made, without(OIDC, "client_secret")), 400, at="/config/client_secret")


def test_sso__saml_updated_without_certificate__keeps_it(acme: Api, in_acme: None) -> None:
    made = make_sso(acme, SAML | {"idp_metadata_url": "https://idp.example/meta"})
    assert "idp_certificate" not in made["identity_provider"]
    ok(put_sso(acme, made, without(SAML, "idp_certificate")))
    assert stored(made).unshown == {"idp_certificate": idp_signer().pem}


def test_sso__fullname_taken__is_409_at_its_place(acme: Api, globex: Api) -> None:
    one, two = make_sso(acme, fullname="Okta"), make_sso(acme)
    body = {"fullname": "Okta", "config": OIDC}
    assert_problem(acme.post("/v1/auth/sso", body), 409, "duplicate-name", at="/fullname")
    assert_problem(put_sso(acme, two, OIDC, fullname="Okta"), 409, "duplicate-name", at="/fullname")
    ok(put_sso(acme, one, OIDC))
    make_sso(globex, fullname="Okta")


@pytest.mark.parametrize(
    ("config", "at"),
    [
        (OIDC | {"issuer_url": "http://login.example"}, "/config/issuer_url"),
        (OIDC | {"issuer_url": "http://127.0.0.1:9"}, "/config/issuer_url"),
        (OIDC | {"issuer_url": "https://user:pass@login.example"}, "/config/issuer_url"),
        (OIDC | {"issuer_url": "https://login.example?x=1"}, "/config/issuer_url"),
        (OIDC | {"issuer_url": "javascript:alert(1)"}, "/config/issuer_url"),
        (OIDC | {"provisioning": "always"}, "/config/provisioning"),
        (OIDC | {"allowed_domains": ["example.com", "no domain"]}, "/config/allowed_domains/1"),
        (OIDC | {"allowed_domains": []}, "/config/allowed_domains"),
        (OIDC | {"idp_entity_id": "x"}, "/config/idp_entity_id"),
        (OIDC | {"type": "ldap"}, "/config/type"),
        (SAML | {"idp_sso_url": "http://idp.example"}, "/config/idp_sso_url"),
        (SAML | {"idp_certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n"}, "/config/idp_certificate"),
        (SAML | {"idp_certificate": new_certificate(bits=1024).pem}, "/config/idp_certificate"),
        (SAML | {"idp_certificate": idp_signer().pem * 4}, "/config/idp_certificate"),
        (SAML | {"name_id_format": "transient"}, "/config/name_id_format"),
    ],
)
def test_sso__unusable_value__is_refused_at_its_place(config: dict[str, Any], at: str, acme: Api) -> None:
    answer = acme.post("/v1/auth/sso", {"fullname": "x", "config": config})
    assert_problem(answer, 400, at=at)
    assert b"hush" not in answer.content


def test_sso__plain_address_in_an_opened_network__is_taken(acme: Api, settings: LazySettings) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    make_sso(acme, OIDC | {"issuer_url": "http://127.0.0.1:9"})
    body = {"fullname": "x", "config": OIDC | {"issuer_url": "http://localhost:9"}}
    assert_problem(acme.post("/v1/auth/sso", body), 400, at="/config/issuer_url")


def test_sso__several_certificates__are_taken_while_a_key_changes(acme: Api) -> None:
    make_sso(acme, SAML | {"idp_certificate": idp_signer().pem + other_signer().pem})


def test_metadata__by_protocols_in_use__says_what_to_enter(acme: Api, settings: LazySettings) -> None:
    settings.PUBLIC_URL = "https://api.acme.example"
    both = ok(acme.get("/v1/auth/meta"))
    assert both["oidc"] == {"redirect_uri": "https://api.acme.example/v1/auth/oidc/callback"}
    assert both["saml"]["acs_url"] == "https://api.acme.example/v1/auth/saml/acs"
    assert both["saml"]["sp_entity_id"] == "https://api.acme.example/v1/auth/saml/metadata"
    make_sso(acme)
    assert ok(acme.get("/v1/auth/meta")).keys() == {"oidc"}
    make_sso(acme, SAML)
    assert ok(acme.get("/v1/auth/meta")) == both
