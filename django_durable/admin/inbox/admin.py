"""Questions: the addresses of their pages."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from django_durable.admin.inbox import page, questions
from django_durable.admin.inbox.listing import QuestionsAdmin
from django_durable.admin.permissions import APP


class InputRequestAdmin(QuestionsAdmin):
    """The list, and a page for each question, open to all of the staff.

    For whoever may not answer a question, and may not see it, it is not there.
    """

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Be in the list of the app for those who have to do with questions."""
        known = getattr(request, "_durable_has_questions", None)
        if known is None:
            known = questions.is_anything_for(request.user)
            request._durable_has_questions = known  # type: ignore[attr-defined]
        return known

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let in who is of the staff: the pages judge what of it they see."""
        return True

    def get_urls(self) -> list[URLPattern]:
        """Return the two addresses there are."""
        wrap = self.admin_site.admin_view
        return [
            path(
                "",
                wrap(self.changelist_view),
                name=f"{APP}_inputrequest_changelist",
            ),
            path(
                "<uuid:id_>/change/",
                wrap(self.question_view),
                name=f"{APP}_inputrequest_change",
            ),
        ]

    def question_view(self, request: HttpRequest, id_: UUID) -> HttpResponse:
        """Show a question, or take its answer."""
        return page.view(self, request, id_)
