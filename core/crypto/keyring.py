"""The root keys, which live outside the database: the keyring's interface and the local keyring."""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import functools
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from django.conf import settings

from core.crypto.primitives import KEY_SIZE, lock, pack, unlock

VARIABLE = "SYNQMGR_ROOT_KEYS"
_FORMAT = b"synqmgr root 1"
_ENTRY = re.compile(r"([1-9][0-9]{0,8}):([A-Za-z0-9+/=]+)\Z")
_RESTORE = "Restore it from the backup of the keys"


class KeyringError(Exception):
    """A root key is missing, malformed or wrong. The message says where and what to do, never the key."""


class Wrapped(NamedTuple):
    """A key under a root key, and the version of that root key."""

    root_version: int
    blob: bytes


class RootKeyring(Protocol):
    """What a keeper of root keys can do. `context` is bound to the wrapped key and must match to unwrap."""

    def wrap(self, secret: bytes, context: bytes) -> Wrapped: ...
    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes: ...
    def current_version(self) -> int: ...
    def health(self) -> None:
        """Raises KeyringError when keys cannot be wrapped and unwrapped."""


class LocalKeyring:
    """Root keys given as text in the environment or, when the text is empty, kept in a file."""

    def __init__(self, text: str, path: Path) -> None:
        self._text = text
        self._path = path
        self.source = VARIABLE if text else f"the key file {path}"
        # One tuple, replaced as a whole: threads see the keys of one file, never a mixture.
        self._loaded: tuple[tuple[int, ...], Mapping[int, bytes]] = ((), {})
        self._read()

    def wrap(self, secret: bytes, context: bytes) -> Wrapped:
        keys = self._newest_keys()
        version = max(keys)
        return Wrapped(version, lock(keys[version], secret, _associate(version, context)))

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        version = wrapped.root_version
        if version not in self._loaded[1] and not self._text:
            self._read()  # the root key was rotated since this process read the file
        key = self._loaded[1].get(version)
        if key is None:
            raise KeyringError(f"Root key version {version} is in use but missing from {self.source}. {_RESTORE}.")
        try:
            return unlock(key, wrapped.blob, _associate(version, context))
        except InvalidTag:
            raise KeyringError(
                f"Root key version {version} in {self.source} does not open what was wrapped under that "
                f"version: it is another key, or the row is damaged. {_RESTORE}."
            ) from None

    def current_version(self) -> int:
        """The highest version. New keys go under it as soon as it is in the file."""
        return max(self._newest_keys())

    def health(self) -> None:
        if self.unwrap(self.wrap(b"health", b"health"), b"health") != b"health":
            raise KeyringError(f"{self.source} does not open what it wraps.")

    def _newest_keys(self) -> Mapping[int, bytes]:
        if not self._text and self._loaded[0] != self._stamp():
            self._read()
        return self._loaded[1]

    def _read(self) -> None:
        if self._text:
            self._loaded = ((), parse_keys(self._text, self.source))
            return
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                content = file.read()
        except OSError as error:
            raise self._unreadable(error) from None
        keys = parse_keys(content.decode("ascii", "replace"), self.source)
        for version, key in self._loaded[1].items():
            if keys.get(version, key) != key:
                raise KeyringError(f"Root key version {version} in {self.source} has changed. {_RESTORE}.")
        self._loaded = (_stamp(status), keys)

    def _stamp(self) -> tuple[int, ...]:
        try:
            return _stamp(self._path.stat())
        except OSError as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: OSError) -> KeyringError:
        if isinstance(error, FileNotFoundError):
            return KeyringError(
                f"There is no root key: {VARIABLE} is not set and {self.source} does not exist. {_RESTORE}; "
                "for a new installation run `manage.py create_keys`."
            )
        return KeyringError(f"{self.source} cannot be read ({error.strerror}). Let the service's user read it.")


def get_keyring() -> LocalKeyring:
    """The keyring the settings name, one per process."""
    return _keyring(settings.ROOT_KEYS, settings.ROOT_KEY_FILE)


def reset_keyring() -> None:
    """Forget the keyring, so that the next use reads the keys again."""
    _keyring.cache_clear()


@functools.lru_cache(maxsize=1)
def _keyring(text: str, path: Path) -> LocalKeyring:
    return LocalKeyring(text, path)


def parse_keys(text: str, source: str) -> dict[int, bytes]:
    """Read `version:base64` entries, apart by commas or lines."""
    keys: dict[int, bytes] = {}
    for number, entry in enumerate(filter(None, re.split(r"[,\s]+", text)), start=1):
        match = _ENTRY.match(entry)
        try:
            key = base64.b64decode(match[2], validate=True) if match else b""
        except binascii.Error:
            key = b""
        if match is None or len(key) != KEY_SIZE:
            raise KeyringError(
                f"Entry {number} of {source} is not `version:base64` with a version from 1 up and "
                f"{KEY_SIZE} bytes. {_RESTORE}."
            )
        version = int(match[1])
        if version in keys:
            raise KeyringError(f"{source} holds root key version {version} twice. {_RESTORE}.")
        keys[version] = key
    if not keys:
        raise KeyringError(f"{source} holds no root key. {_RESTORE}.")
    return keys


def create_key_file(path: Path) -> None:
    """Make the key file with version 1, readable by its owner alone. An existing file is left as it is."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _temporary(path, {1: os.urandom(KEY_SIZE)}) as made:
            os.link(made, path)  # unlike a rename, this fails when the file exists
        _sync_directory(path.parent)
    except FileExistsError:
        raise KeyringError(f"The key file {path} exists; it is never overwritten.") from None
    except OSError as error:
        raise KeyringError(f"The key file {path} cannot be made ({error.strerror}).") from None


def add_root_version(path: Path) -> int:
    """Add the next version to the key file in one step that survives a power cut; returns the version."""
    path = path.resolve()  # replace the file, not a link to it
    try:
        with _locked(path.parent):
            status = path.stat()
            keys = parse_keys(path.read_text("ascii", "replace"), f"the key file {path}")
            version = max(keys) + 1
            with _temporary(path, keys | {version: os.urandom(KEY_SIZE)}) as made:
                # A server under another user must still be able to read the new file.
                os.chown(made, status.st_uid, status.st_gid)
                made.chmod(status.st_mode & 0o777)
                made.replace(path)
            _sync_directory(path.parent)
    except OSError as error:
        raise KeyringError(
            f"The key file {path} cannot be replaced ({error.strerror}). Run this as the file's owner, who "
            "must be able to write its folder."
        ) from None
    return version


@contextlib.contextmanager
def _temporary(path: Path, keys: Mapping[int, bytes]) -> Iterator[Path]:
    """A synced file beside `path` with these keys, gone afterwards unless it was moved."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            for version, key in sorted(keys.items()):
                file.write(b"%d:%s\n" % (version, base64.b64encode(key)))
            file.flush()
            os.fsync(file.fileno())
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer of the key file at a time: of two that read the same version, one key would be lost."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def _associate(version: int, context: bytes) -> bytes:
    return pack(_FORMAT, str(version).encode(), context)
