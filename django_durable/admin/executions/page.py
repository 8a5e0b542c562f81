"""The page of an execution: a sentence, what can be done, and tabs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from django_durable.admin import instances, live
from django_durable.admin.base import DurableAdmin
from django_durable.admin.executions.acting import offered
from django_durable.admin.executions.portrait import Portrait, find, portray
from django_durable.admin.executions.tabs import tab_of
from django_durable.admin.permissions import rights_of
from django_durable.models import Execution

TEMPLATE = "admin/django_durable/execution/page.html"
REGION = "admin/django_durable/execution/page_region.html"


def view(model_admin: DurableAdmin, request: HttpRequest, id_: UUID) -> HttpResponse:
    """Show an execution, or only its region. A lane is shown as steps of its execution."""
    rights = rights_of(request.user)
    model_admin.require(rights.view)
    using, place = instances.instance_of(request).database, model_admin.place(request)
    row = find(id_, using=using)
    if row is None:
        raise Http404(f"There is no execution {id_}.")
    if row.is_lane:
        return HttpResponseRedirect(
            place.url(
                "execution_change",
                row.parent_id,
                tab="steps",
                path=row.scope,
            )
        )
    shared = model_admin.shared_context(request)
    context = {**shared, **_context(portray(row, place, using=using), request, rights)}
    if live.wants_region(request):
        return live.region_response(request, REGION, context)
    return model_admin.render(request, TEMPLATE, context)


def _context(portrait: Portrait, request: HttpRequest, rights: Any) -> dict[str, Any]:
    tab, tabs = tab_of(portrait, request)
    row = portrait.row
    return {
        "title": _("%(workflow)s %(id)s") % {"workflow": row.workflow, "id": row.pk},
        "portrait": portrait,
        "execution": row,
        "operations": offered(row, rights),
        "tab": tab,
        "tabs": tabs,
        "live_state": live.ENDED if row.is_final else live.ON,
        "announced": _announced(row),
        **tab.build(portrait, request),
    }


def _announced(row: Execution) -> str:
    """Return what is read aloud when it changes: no times, for they change always."""
    status = row.status.replace("_", " ")
    return f"{status} ({row.current_step})" if row.current_step else status
