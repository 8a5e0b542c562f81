"""Parts of pages that keep themselves up to date.

A *region* is an element with ``{% live_region %}`` in its tag. ``live.js`` asks for it
again, with ``?_live=1``, or its name on a page of several: every two seconds while the
region says that it is ``on``, more seldom when it is ``slow``, never when it has
``ended``. The answer is the region alone, or 304 when nothing in it has changed. Texts in
``<time>`` do not count as changes: the script keeps them up to date by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.template.loader import render_to_string

PARAMETER = "_live"
WHOLE = "1"
"""The name of the region of a page that has only one."""

ON, SLOW, ENDED = "on", "slow", "ended"

_TIMES = re.compile(r"(<time\b[^>]*>)[^<]*")


def wants_region(request: HttpRequest) -> bool:
    """Say whether a request asks for the region of a page, not for the whole page."""
    return PARAMETER in request.GET


def part_of(request: HttpRequest) -> str:
    """Return the name of the region that a request asks for, empty for the whole page."""
    return request.GET.get(PARAMETER, "")


def region_url(request: HttpRequest, part: str = WHOLE) -> str:
    """Return where the region of the page of this request is found."""
    query = request.GET.copy()
    query[PARAMETER] = part
    return f"{request.path}?{query.urlencode()}"


def region_response(
    request: HttpRequest, template: str, context: Mapping[str, Any]
) -> HttpResponse:
    """Answer with a region, or with 304 when the browser has it already."""
    # What replaces an element is an element, and no blank before it.
    html = render_to_string(template, dict(context), request).strip()
    tag = etag(html)
    response: HttpResponse
    if request.headers.get("If-None-Match") == tag:
        response = HttpResponseNotModified()
    else:
        response = HttpResponse(html)
    response["ETag"] = tag
    response["Cache-Control"] = "private, no-cache"
    return response


def etag(html: str) -> str:
    """Return what tells one state of a region from another, ticking times left out."""
    text = _TIMES.sub(r"\1", html)
    return f'"{blake2b(text.encode(), digest_size=16).hexdigest()}"'
