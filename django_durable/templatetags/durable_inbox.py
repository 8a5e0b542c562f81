"""What pages say of questions that wait for a person: ``{% load durable_inbox %}``."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context

from django_durable.admin.inbox import counting, questions
from django_durable.models import Execution, InputRequest

register = template.Library()

register.simple_tag(counting.waiting, name="waiting")


@register.simple_tag(takes_context=True)
def count_inputs_in(context: Context, app_list: Any) -> str:
    """Put the number of questions for the reader behind the inbox in a list of apps."""
    counting.mark(app_list, questions.count_of_mine(context["request"]))
    return ""


@register.simple_tag(takes_context=True)
def to_answer(context: Context, execution: Execution) -> list[InputRequest]:
    """Return what an execution asks that the reader may answer now."""
    return questions.of_execution(execution, context["request"])
