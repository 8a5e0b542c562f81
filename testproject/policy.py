"""A content security policy for the site: what Django has from 6.0 on, or a stand-in.

Imported by the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse

SELF = "'self'"

Policy = Mapping[str, Sequence[str]]

if django.VERSION >= (6, 0):
    from django.utils.csp import CSP

    NONCE = [CSP.NONCE]
    MIDDLEWARE = "django.middleware.csp.ContentSecurityPolicyMiddleware"
    CONTEXT_PROCESSORS = ["django.template.context_processors.csp"]
else:
    # Without nonces: they would be another thing to imitate.
    NONCE = []
    MIDDLEWARE = "testproject.policy.PolicyMiddleware"
    CONTEXT_PROCESSORS = []


def strict() -> Policy:
    """Return ``default-src 'self'``, with nonces: all is from here, nothing inline."""
    return {
        "default-src": [SELF],
        "script-src": [SELF, *NONCE],
        "style-src": [SELF, *NONCE],
    }


def for_theme() -> Policy:
    """Return the same, but for what the theme ``django-admin-interface`` needs.

    It writes its colours into each page, in an element ``<style>`` without a nonce, and
    small pictures into its style sheets.
    """
    return {
        **strict(),
        "style-src": [SELF, "'unsafe-inline'"],
        "img-src": [SELF, "data:"],
    }


class PolicyMiddleware:
    """Send ``settings.SECURE_CSP`` with every page, as Django does itself since 6.0."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        policy: Policy = settings.SECURE_CSP
        self.value = "; ".join(" ".join((name, *of)) for name, of in policy.items())

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", self.value)
        return response
