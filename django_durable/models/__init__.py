"""What is stored: fields, constraints, indexes, named querysets. No transitions."""

from django_durable.models.event import Event
from django_durable.models.execution import Execution
from django_durable.models.input import InputRequest
from django_durable.models.log import Log
from django_durable.models.schedule import Schedule
from django_durable.models.step import Step
from django_durable.models.wait import Wait
from django_durable.models.worker import Worker

__all__ = [
    "Event",
    "Execution",
    "InputRequest",
    "Log",
    "Schedule",
    "Step",
    "Wait",
    "Worker",
]
