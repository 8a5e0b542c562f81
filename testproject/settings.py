"""Settings of the test project: SQLite, or what ``DATABASE_URL`` names."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import django

from testproject import database_urls, policy

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = "only-for-this-test-project"  # noqa: S105
DEBUG = os.environ.get("DEBUG", "1") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", "testserver"]

# ADMIN_THEME=0 leaves out a theme that is installed.
HAS_ADMIN_THEME = (
    find_spec("admin_interface") is not None
    and os.environ.get("ADMIN_THEME", "1") == "1"
)

INSTALLED_APPS = [
    *(["admin_interface", "colorfield"] if HAS_ADMIN_THEME else []),
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_durable",
    "testproject.shop",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    policy.MIDDLEWARE,
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

SECURE_CSP = policy.for_theme() if HAS_ADMIN_THEME else policy.strict()

ROOT_URLCONF = "testproject.urls"
WSGI_APPLICATION = "testproject.wsgi.application"
ASGI_APPLICATION = "testproject.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                *policy.CONTEXT_PROCESSORS,
            ],
        },
    },
]

DATABASES = {
    "default": (
        database_urls.parse(os.environ["DATABASE_URL"])
        if os.environ.get("DATABASE_URL")
        else database_urls.sqlite(BASE_DIR / "db.sqlite3")
    ),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"

# The shop writes to its customers; none of them exists.
_NO_MAIL = "django.core.mail.backends.dummy.EmailBackend"
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": _NO_MAIL}}
else:
    EMAIL_BACKEND = _NO_MAIL

# The theme opens pop-ups in frames and asks for both of these.
if HAS_ADMIN_THEME:
    X_FRAME_OPTIONS = "SAMEORIGIN"
    SILENCED_SYSTEM_CHECKS = ["security.W019"]
