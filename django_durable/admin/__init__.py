"""The dashboard, inside Django's own admin.

Nothing in here writes by itself: it calls ``api`` and ``store``. What a page shows is
judged by ``permissions``, in every view and every action.
"""

from django_durable.admin import registration as _registration  # noqa: F401
from django_durable.admin.executions.admin import ExecutionAdmin
from django_durable.admin.pages import PageAdmin, page

__all__ = ["ExecutionAdmin", "PageAdmin", "page"]
