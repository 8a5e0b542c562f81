"""All of a payload, where a page shows only its beginning: as JSON, to be read or saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist
from django.http import Http404, HttpRequest, HttpResponse

from django_durable.admin.base import DurableAdmin
from django_durable.admin.display import pretty
from django_durable.admin.instances import instance_of
from django_durable.admin.payloads import whole
from django_durable.admin.permissions import rights_of
from django_durable.models import Event, Execution, InputRequest, Step

_OWN = ("input", "data")
_OTHERS: Mapping[str, tuple[Any, str]] = {
    "step": (Step, "output"),
    "event": (Event, "payload"),
    "answer": (InputRequest, "answer"),
    "metadata": (InputRequest, "metadata"),
}


def view(
    model_admin: DurableAdmin,
    request: HttpRequest,
    id_: UUID,
    part: str,
    of: UUID | None,
) -> HttpResponse:
    """Answer with ``input`` or ``data`` of an execution, or what is filed under it."""
    rights = rights_of(request.user)
    model_admin.require(rights.view and rights.see_payloads)
    using = instance_of(request).database
    try:
        if part in _OWN and of is None:
            found = whole(_rows(Execution, using).filter(pk=id_, is_lane=False), part)
        elif part in _OTHERS and of is not None:
            model, field = _OTHERS[part]
            found = whole(_rows(model, using).filter(pk=of, execution=id_), field)
        else:
            raise Http404(f"An execution has no {part!r}.")
    except ObjectDoesNotExist:
        raise Http404("There is no such payload.") from None
    response = HttpResponse(pretty(found), content_type="application/json")
    # Whatever is in it, a browser shows it as text.
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cache-Control"] = "private, no-store"
    return response


def _rows(model: Any, using: str) -> Any:
    return model._base_manager.using(using)
