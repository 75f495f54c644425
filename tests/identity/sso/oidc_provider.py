"""An OpenID Connect provider on loopback that does as it is told: honest unless a test bends it."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import http.server
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

SigningKey = RSAKey | ECKey | OKPKey
CLIENT_ID, CLIENT_SECRET = "app", "hush-hush"


def rsa_key(kid: str | None) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid} if kid else None)


@dataclasses.dataclass
class Answer:
    """What an address answers instead of what it should."""

    status: int = 200
    body: bytes = b""
    delay: float = 0.0


@dataclasses.dataclass
class OidcProvider:
    """The state of a provider, and how it is bent."""

    issuer: str
    keys: list[SigningKey] = dataclasses.field(default_factory=lambda: [rsa_key("one")])
    user: dict[str, Any] = dataclasses.field(
        default_factory=lambda: {"sub": "u-1", "email": "ada@example.com", "email_verified": True, "name": "Ada"}
    )
    claims: dict[str, Any] = dataclasses.field(default_factory=dict)  # replace honest ones; None takes one away
    header: dict[str, Any] = dataclasses.field(default_factory=dict)
    discovery: dict[str, Any] = dataclasses.field(default_factory=dict)
    answers: dict[str, Answer] = dataclasses.field(default_factory=dict)
    callback: dict[str, Any] = dataclasses.field(default_factory=dict)  # parameters of the redirect back
    sign: Callable[[dict[str, Any], dict[str, Any]], str] | None = None
    thin: bool = False  # whether the user's claims are at the userinfo endpoint only
    asked: list[str] = dataclasses.field(default_factory=list)
    codes: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        honest = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
        }
        return {name: value for name, value in (honest | self.discovery).items() if value is not None}

    def jwks(self) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) for key in self.keys]}

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser goes back to: this provider asks nobody for a password."""
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        back = {"code": code, "state": query["state"]} | self.callback
        kept = {name: value for name, value in back.items() if value is not None}
        return f"{query['redirect_uri']}?{urlencode(kept)}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        if credentials_of(form, authorization) != (CLIENT_ID, CLIENT_SECRET):
            return 401, {"error": "invalid_client"}
        begun = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if begun is None or begun["code_challenge"] != challenge or begun["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "at-1", "token_type": "Bearer", "id_token": self.id_token(begun)}

    def id_token(self, begun: dict[str, str]) -> str:
        now = int(time.time())
        user = {"sub": self.user["sub"]} if self.thin else self.user
        honest = {
            "iss": self.issuer,
            "aud": begun["client_id"],
            "nonce": begun["nonce"],
            "iat": now,
            "exp": now + 300,
            **user,
        }
        claims = {name: value for name, value in (honest | self.claims).items() if value is not None}
        key = self.keys[0]
        header = {"alg": algorithm_of(key), **({"kid": key.kid} if key.kid else {}), **self.header}
        if self.sign is not None:
            return self.sign(header, claims)
        return jwt.encode(header, claims, key, algorithms=[header["alg"]])


def algorithm_of(key: SigningKey) -> str:
    return {"RSA": "RS256", "EC": "ES256", "OKP": "Ed25519"}[key.key_type]


def credentials_of(form: dict[str, str], authorization: str) -> tuple[str, str]:
    if authorization.startswith("Basic "):
        client_id, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        return unquote(client_id), unquote(secret)
    return form.get("client_id", ""), form.get("client_secret", "")


class _Handler(http.server.BaseHTTPRequestHandler):
    provider: OidcProvider
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        self.provider.asked.append(address.path)
        if self.answered_otherwise(address.path):
            return
        if address.path == "/authorize":
            self.send_response(302)
            self.send_header("Location", self.provider.authorize(dict(parse_qsl(address.query))))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif address.path == "/userinfo":
            self.reply(200, self.provider.user)
        elif address.path == "/jwks":
            self.reply(200, self.provider.jwks())
        elif address.path.endswith("/.well-known/openid-configuration"):
            self.reply(200, self.provider.document())
        else:
            self.reply(404, {})

    def do_POST(self) -> None:
        address = urlsplit(self.path)
        self.provider.asked.append(address.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        if not self.answered_otherwise(address.path):
            self.reply(*self.provider.token(form, self.headers.get("Authorization", "")))

    def answered_otherwise(self, path: str) -> bool:
        answer = self.provider.answers.get(path)
        if answer is None:
            return False
        time.sleep(answer.delay)
        with contextlib.suppress(OSError):  # the service has hung up
            self.reply(answer.status, None, answer.body)
        return True

    def reply(self, status: int, value: Any, body: bytes = b"") -> None:
        body = body or json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def oidc_provider() -> Iterator[OidcProvider]:
    """A running provider."""
    handler = type("Handler", (_Handler,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        provider = OidcProvider(f"http://127.0.0.1:{server.server_address[1]}")
        handler.provider = provider  # type: ignore[attr-defined] # which the class was made for
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join(timeout=5)
