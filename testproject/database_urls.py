"""Database URLs: from a URL to an entry of ``DATABASES``, and back.

Imports no Django: the settings are made with this.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

_POSTGRESQL = "django.db.backends.postgresql"
_SQLITE = "django.db.backends.sqlite3"


def parse(url: str) -> dict[str, Any]:
    """Return the entry of ``DATABASES`` for ``url``.

    ``postgresql://user:password@host:5432/name``; for a unix socket
    ``postgresql://user@/name?host=/directory``; ``sqlite:////absolute/path``.
    Other parts of the query become ``OPTIONS``.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return sqlite(Path(unquote(parts.path[1:])))
    if parts.scheme not in ("postgres", "postgresql"):
        raise ValueError(
            f"DATABASE_URL: the scheme {parts.scheme!r} is neither 'postgresql' "
            "nor 'sqlite'."
        )
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": _POSTGRESQL,
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", "") or parts.hostname or "",
        "PORT": options.pop("port", "") or str(parts.port or ""),
        "OPTIONS": options,
    }


def sqlite(path: Path) -> dict[str, Any]:
    """Return the entry for an SQLite file that many threads and processes may share."""
    # A file, and not ":memory:", for the tests too: threads and worker processes open
    # it by name. The process id keeps two test runs apart.
    test_name = Path(tempfile.gettempdir()) / f"django-durable-{os.getpid()}.sqlite3"
    return {
        "ENGINE": _SQLITE,
        "NAME": str(path),
        "OPTIONS": {
            # A deferred transaction that reads before it writes fails at once when
            # another one wrote meanwhile, whatever the timeout says.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
            "PRAGMA busy_timeout=20000;",
        },
        "TEST": {"NAME": str(test_name)},
    }


def build(database: Mapping[str, Any]) -> str:
    """Return the URL of an entry of ``DATABASES``, or of ``connection.settings_dict``.

    In a test the latter names the test database, so that a worker process that gets
    this URL as its ``DATABASE_URL`` sees the rows of the test.
    """
    name = quote(str(database["NAME"]))
    if database["ENGINE"] == _SQLITE:
        return f"sqlite:///{name}"
    user, password = (
        quote(str(database.get(key) or ""), safe="") for key in ("USER", "PASSWORD")
    )
    place = {key.lower(): database.get(key) for key in ("HOST", "PORT")}
    # Options that a URL cannot say, such as a pool, are left out.
    options = (database.get("OPTIONS") or {}).items()
    said = {key: value for key, value in options if isinstance(value, str)}
    query = urlencode({key: value for key, value in place.items() if value} | said)
    return f"postgresql://{user}:{password}@/{name}?{query}"
