"""A content security policy for the site: what Django has from 6.0 on, or a stand-in.

Imported by the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse

SELF = "'self'"
INLINE = "'unsafe-inline'"

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


def strict(styles: Sequence[str] = ()) -> Policy:
    """Return ``default-src 'self'`` with nonces, or ``styles`` for those of styles."""
    return {
        "default-src": [SELF],
        "script-src": [SELF, *NONCE],
        "style-src": [SELF, *(styles or NONCE)],
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
