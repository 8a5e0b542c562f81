"""The dashboard, inside Django's own admin.

Nothing in here writes by itself: it calls ``api`` and ``store``. What a page shows is
judged by ``permissions``, in every view and every action.
"""

from django_durable.admin import registration  # noqa: F401
