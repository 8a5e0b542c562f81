"""The Django form that validates what a person answers, wherever the answer comes from.

A *description* is what is asked, as it is stored:
``{"type", "prompt", "choices", "fields", "form"}``. ``choices`` and ``fields`` may be
encoded (``codec.encode``) or plain; ``form`` is the path that ``form_path`` returns.
"""

from django_durable.forms.answers import (
    clean_answer,
    clean_input,
    posted_answer,
    posted_input,
)
from django_durable.forms.descriptions import (
    VALUE,
    check_description,
    form_class_for,
    form_path,
)

__all__ = [
    "VALUE",
    "check_description",
    "clean_answer",
    "clean_input",
    "form_class_for",
    "form_path",
    "posted_answer",
    "posted_input",
]
