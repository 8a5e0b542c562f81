"""Start an execution from the catalogue, with the form of its workflow or with JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import ADDITION
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_durable import api, codec
from django_durable.admin import history, instances
from django_durable.admin.base import DurableAdmin
from django_durable.admin.catalogue.example import example_of
from django_durable.admin.catalogue.listing import graph_of, url_of
from django_durable.admin.dressing import dress, focus, show_errors
from django_durable.admin.fields import JSONObjectField
from django_durable.admin.permissions import rights_of
from django_durable.definition.graph import Graph
from django_durable.exceptions import DurableError
from django_durable.forms import posted_input

TEMPLATE = "admin/django_durable/catalogue/start.html"

INPUT = "input"
QUEUES = "durable-queues"
_LARGEST = 2**31 - 1


class JSONInputForm(forms.Form):
    """The input of a workflow that has no form."""

    input = JSONObjectField(
        label=gettext_lazy("Input"),
        help_text=gettext_lazy(
            "A JSON object: the first data of its steps. What JSON does not have is "
            'written as it is stored, with "$type".'
        ),
    )


class OptionsForm(forms.Form):
    """What else ``start`` takes; all of it may be left as the workflow says."""

    prefix = "durable"

    scheduled_at = forms.DateTimeField(label=gettext_lazy("Not before"), required=False)
    queue = forms.CharField(
        label=gettext_lazy("Queue"),
        required=False,
        max_length=100,
        widget=forms.TextInput({"list": QUEUES, "autocomplete": "off"}),
    )
    priority = forms.IntegerField(
        label=gettext_lazy("Priority"),
        required=False,
        min_value=-_LARGEST,
        max_value=_LARGEST,
        help_text=gettext_lazy("Larger runs first."),
    )
    tags = forms.CharField(
        label=gettext_lazy("Tags"),
        required=False,
        help_text=gettext_lazy("With commas between them."),
    )
    idempotency_key = forms.CharField(
        label=gettext_lazy("Idempotency key"),
        required=False,
        max_length=codec.MAX_KEY,
        help_text=gettext_lazy(
            "If an execution of this workflow has this key already, none is started."
        ),
    )

    def __init__(self, data: Any = None, *, graph: Graph) -> None:
        """Show what is taken where nothing is given."""
        super().__init__(data)
        self.fields["queue"].widget.attrs["placeholder"] = graph.queue
        self.fields["priority"].widget.attrs["placeholder"] = graph.priority
        self.fields["scheduled_at"].help_text = _("Time zone: %(zone)s.") % {
            "zone": timezone.get_current_timezone_name()
        }

    def clean_scheduled_at(self) -> datetime | None:
        """Return an aware instant, also where the project has no time zones."""
        at: datetime | None = self.cleaned_data["scheduled_at"]
        return timezone.make_aware(at) if at and timezone.is_naive(at) else at

    def clean_tags(self) -> list[str]:
        """Return the tags, each once."""
        given = (tag.strip() for tag in self.cleaned_data["tags"].split(","))
        tags = list(dict.fromkeys(tag for tag in given if tag))
        try:
            return [codec.check_name(tag, "tag") for tag in tags]
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def given(self) -> dict[str, Any]:
        """Return the options of ``start`` that were given."""
        return {
            name: value
            for name, value in self.cleaned_data.items()
            if value not in (None, "")
        }


def view(model_admin: DurableAdmin, request: HttpRequest, name: str) -> HttpResponse:
    """Ask for the input, or start an execution with it."""
    model_admin.require(rights_of(request.user).start)
    graph = graph_of(name)
    if graph is None:
        raise Http404(f"There is no workflow {name!r} in the code that runs here.")
    post = request.POST if request.method == "POST" else None
    form, options = _form(graph, post), OptionsForm(post, graph=graph)
    if post is not None and options.is_valid():
        started = _start(model_admin, request, graph, form, options)
        if started is not None:
            return started
    if post is not None:
        focus(form, options)
    settings = instances.instance_of(request)
    context = {
        "title": _("Start %(workflow)s") % {"workflow": name},
        "graph": graph,
        "workflow": name,
        "workflow_url": url_of(name, model_admin.place(request)),
        "form": form,
        "options": dress(options),
        "queues": sorted({*settings.queues, graph.queue}),
        "queues_id": QUEUES,
    }
    return model_admin.render(request, TEMPLATE, context)


def _form(graph: Graph, post: Any) -> forms.BaseForm:
    """Return the form of the workflow, or one that takes JSON."""
    form_class: type[forms.BaseForm] | None = graph.input_form
    if form_class is not None:
        return dress(form_class(data=post))
    form = JSONInputForm(post)
    form.initial[INPUT] = example_of(graph)
    return form


def _start(
    model_admin: DurableAdmin,
    request: HttpRequest,
    graph: Graph,
    form: forms.BaseForm,
    options: OptionsForm,
) -> HttpResponse | None:
    """Start it, and go on to its page; ``None``: show the form again."""
    form_class: Any = graph.input_form
    if form_class is None and not form.is_valid():
        return None
    given = (
        form.cleaned_data[INPUT]
        if form_class is None
        else posted_input(form_class, request.POST)
    )
    durable = instances.instance_of(request).alias
    try:
        execution = api.start(graph.workflow, given, durable=durable, **options.given())
    except DurableError as error:
        show_errors(form, error, elsewhere=INPUT)
        return None
    if execution.created:
        history.note(request, [execution], "Started", flag=ADDITION)
        messages.success(
            request, _("Started: %(workflow)s.") % {"workflow": graph.workflow}
        )
    else:
        messages.info(request, _("This key is known: this is what it has started."))
    place = model_admin.place(request)
    return HttpResponseRedirect(place.url("execution_change", execution.pk))
