"""Two signed doors for those without an account: a link that answers, and a webhook.

Both are shut until ``settings.DURABLE`` opens them, and lead through
``include("django_durable.urls")``.
"""

from django_durable.doors.links import answer_link

__all__ = ["answer_link"]
