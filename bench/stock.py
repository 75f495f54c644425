"""Stock DRF over the same tables: ModelViewSet, ModelSerializer, cursor pages, a token by one ORM query."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import os
from typing import Any

import django_stubs_ext
import environ
import uuid_utils
from django.conf import settings

django_stubs_ext.monkeypatch()  # lets annotations name the type inside a generic Django class
database = environ.Env().db_url("DATABASE_URL")
database["CONN_MAX_AGE"] = None
if database["ENGINE"].endswith("sqlite3"):
    pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
    database["OPTIONS"] = {"timeout": 20, "init_command": pragmas}
settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="bench.stock",
    INSTALLED_APPS=[  # as `startproject` makes them
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
        "rest_framework",
    ],
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
    DATABASES={"default": database},
    USE_TZ=True,
    APPEND_SLASH=False,
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "UNAUTHENTICATED_USER": None,
    },
)

import django  # noqa: E402

django.setup()

from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.db import models, transaction  # noqa: E402
from django.forms import model_to_dict  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.utils import timezone  # noqa: E402
from rest_framework import authentication, exceptions, pagination, routers, serializers, viewsets  # noqa: E402

KEY = bytes.fromhex(os.environ["BENCH_HASH_KEY"])


class JsonText(models.TextField[Any, Any]):
    """JSON in a text column, as the tables have it."""

    def from_db_value(self, value: str, *_: Any) -> Any:
        return json.loads(value)

    def get_prep_value(self, value: Any) -> str:
        return json.dumps(value)


class Table(models.Model):
    class Meta:
        abstract = True
        app_label = "bench"
        managed = False


class Token(Table):
    id = models.CharField(primary_key=True, max_length=36)
    organization_id = models.CharField(max_length=36)

    class Meta(Table.Meta):
        db_table = "identity_token"

    is_authenticated = True

    def __str__(self) -> str:
        return self.id


class TokenSecret(Table):
    public_id = models.CharField(primary_key=True, max_length=16)
    token = models.ForeignKey(Token, models.CASCADE)
    kind = models.CharField(max_length=16)
    digest = models.BinaryField()
    expires = models.DateTimeField()

    class Meta(Table.Meta):
        db_table = "identity_tokensecret"

    def __str__(self) -> str:
        return self.public_id


class Account(Table):
    id = models.CharField(primary_key=True, max_length=36, default=lambda: str(uuid_utils.uuid7()), editable=False)
    organization_id = models.CharField(max_length=36, editable=False)
    name = models.CharField(max_length=255)
    fullname = models.CharField(max_length=255)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    environment = models.CharField(max_length=16, choices=[("test", "test"), ("prod", "prod")])
    labels = JsonText(default=list)

    class Meta(Table.Meta):
        db_table = "accounts_account"

    def __str__(self) -> str:
        return self.name


class Webhook(Table):
    id = models.CharField(primary_key=True, max_length=36)
    organization_id = models.CharField(max_length=36)
    environment = models.CharField(max_length=16)
    filters = JsonText()
    disabled_at = models.DateTimeField(null=True)

    class Meta(Table.Meta):
        db_table = "events_organizationwebhook"

    def __str__(self) -> str:
        return self.id


class AuditChain(Table):
    organization_id = models.CharField(primary_key=True, max_length=36)
    sequence = models.PositiveBigIntegerField(default=0)
    digest = models.BinaryField(default=bytes)
    pruned_sequence = models.PositiveBigIntegerField(default=0)
    pruned_digest = models.BinaryField(default=bytes)
    ended_at = models.CharField(max_length=27, default="")
    mac = models.BinaryField(default=bytes)

    class Meta(Table.Meta):
        db_table = "events_auditchain"

    def __str__(self) -> str:
        return self.organization_id

    def seal(self) -> bytes:
        """The keyed hash of the row."""
        values = [self.organization_id, self.sequence, self.ended_at, self.pruned_sequence]
        digests = [bytes(self.digest).hex(), bytes(self.pruned_digest).hex()]
        return hmac.digest(KEY, json.dumps([*map(str, values), *digests]).encode(), hashlib.sha256)


class AuditEvent(Table):
    id = models.CharField(primary_key=True, max_length=36, default=lambda: str(uuid_utils.uuid7()))
    organization_id = models.CharField(max_length=36)
    sequence = models.PositiveBigIntegerField()
    created_at = models.DateTimeField()
    audit_type = models.CharField(max_length=16, default="API")
    action = models.CharField(max_length=64)
    object_id = models.CharField(max_length=36)
    token_id = models.CharField(max_length=36)
    account_id = models.CharField(max_length=36)
    environment = models.CharField(max_length=16)
    remote_addr = models.CharField(max_length=64)
    user_agent = models.CharField(max_length=255)
    method = models.CharField(max_length=16)
    path = models.CharField(max_length=2048)
    code = models.CharField(max_length=3, default="200")
    status = models.CharField(max_length=64, default="done")
    body = JsonText()
    digest = models.BinaryField()

    class Meta(Table.Meta):
        db_table = "events_auditevent"

    def __str__(self) -> str:
        return self.id


class TokenAuthentication(authentication.BaseAuthentication):
    def authenticate(self, request: Any) -> tuple[Token, None]:
        text = request.META.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
        digest = hmac.digest(KEY, text.encode(), hashlib.sha256)
        secret = (
            TokenSecret._default_manager.select_related("token").filter(public_id=text[4:20], kind="access").first()
        )
        if secret is None or not hmac.compare_digest(digest, bytes(secret.digest)):
            raise exceptions.AuthenticationFailed
        if secret.expires <= dt.datetime.now(dt.UTC):
            raise exceptions.AuthenticationFailed
        return secret.token, None


class AccountSerializer(serializers.ModelSerializer[Account]):
    labels = serializers.ListField(child=serializers.CharField(max_length=48))

    class Meta:
        model = Account
        fields = ("name", "created_at", "updated_at", "id", "fullname", "organization_id", "environment", "labels")


class Pages(pagination.CursorPagination):
    page_size = 100
    ordering = "name"


class AccountViewSet(viewsets.ModelViewSet[Account]):
    serializer_class = AccountSerializer
    pagination_class = Pages
    authentication_classes = [TokenAuthentication]

    def get_queryset(self) -> models.QuerySet[Account]:
        rows: models.QuerySet[Account] = Account._default_manager.all()
        return rows.filter(organization_id=self.request.user.organization_id)  # type: ignore[union-attr]

    @transaction.atomic
    def perform_create(self, serializer: Any) -> None:
        if self.get_queryset().filter(name=serializer.validated_data["name"]).exists():
            raise exceptions.ValidationError({"name": ["is taken"]})
        account = serializer.save(organization_id=self.request.user.organization_id)  # type: ignore[union-attr]
        list(Webhook._default_manager.filter(organization_id=account.organization_id, disabled_at=None))
        self.audit(account)

    def audit(self, account: Account) -> None:
        chains = AuditChain._default_manager.select_for_update()
        chain = chains.get(organization_id=account.organization_id)
        holds = hmac.compare_digest(bytes(chain.mac), chain.seal())  # not so at the first: the service's key is another
        event = AuditEvent(
            organization_id=account.organization_id,
            sequence=chain.sequence + 1,
            created_at=timezone.now(),
            action="accounts.create",
            object_id=account.id,
            token_id=self.request.user.id,  # type: ignore[union-attr]
            account_id=account.id,
            environment=account.environment,
            remote_addr=self.request.META["REMOTE_ADDR"],
            user_agent=self.request.headers.get("User-Agent", ""),
            method=self.request.method,
            path=self.request.path,
            body=self.request.data,
        )
        values = json.dumps([str(value) for name, value in model_to_dict(event).items() if name != "digest"])
        event.digest = hmac.digest(KEY, (bytes(chain.digest) if holds else b"broken") + values.encode(), hashlib.sha256)
        event.save(force_insert=True)
        chain.sequence, chain.digest, chain.ended_at = event.sequence, event.digest, event.created_at.isoformat()[:27]
        chain.mac = chain.seal()
        chain.save()


router = routers.SimpleRouter(trailing_slash=False)
router.register("accounts", AccountViewSet, basename="account")
urlpatterns = [path("v1/", include(router.urls))]
application = WSGIHandler()
