"""The duty of a worker that starts what schedules say. Every worker has it; they race."""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from functools import partial

from django.db import InterfaceError, OperationalError

from django_durable import cron
from django_durable.api import schedules
from django_durable.engine import scheduling
from django_durable.engine.scheduling import Round
from django_durable.models import Schedule
from django_durable.store import firing
from django_durable.workers.options import Options

logger = logging.getLogger("django_durable.schedules")

_BATCH = 100


class Scheduler:
    """Fires the schedules that are due, by the database's clock.

    The first call registers the schedules of the code.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._settings = options.settings
        self._late_after = max(
            scheduling.LATE_AFTER,
            timedelta(seconds=2 * options.settings.scheduler_interval),
        )
        self._has_registered = False

    def run_once(self) -> bool:
        """Fire what is due; say whether there may be more."""
        if not self._has_registered:
            schedules.register_code_schedules(self._settings.alias)
            self._has_registered = True
        due = firing.due(limit=_BATCH, using=self._options.using)
        for row in due:
            self._fire(row)
        return len(due) == _BATCH

    def _fire(self, row: Schedule) -> None:
        try:
            plan = self._plan(row)
            new = schedules.execution_of(row, self._settings)
            started = firing.fire(
                row,
                plan,
                new,
                delay=scheduling.delay_of(row.jitter, draw=random.random()),
                using=self._options.using,
            )
        except (OperationalError, InterfaceError):
            # The database's fault, not the schedule's: it is tried again.
            raise
        except Exception as error:
            # The form of a workflow is the user's code and may raise anything.
            self._fail(row, error)
        else:
            if started is not None:
                _tell(row, plan, len(started))

    def _plan(self, row: Schedule) -> Round:
        assert row.next_fire_at is not None
        return scheduling.plan_round(
            row.next_fire_at,
            now=row.database_now,
            catch_up=row.catch_up,
            following=partial(cron.next_fire, row.cron, row.timezone),
            late_after=self._late_after,
        )

    def _fail(self, row: Schedule, error: Exception) -> None:
        message = f"{type(error).__name__}: {error}"
        logger.warning("The schedule %s could start nothing: %s", row.name, message)
        try:
            next_fire_at = cron.next_fire(row.cron, row.timezone, row.database_now)
        except ValueError:
            next_fire_at = row.database_now + scheduling.RETRY_BROKEN
        if firing.fail(
            row, message, next_fire_at=next_fire_at, using=self._options.using
        ):
            logger.error(
                "The schedule %s is disabled: it failed %d times in a row. Repair it, "
                "then call enable_schedule().",
                row.name,
                scheduling.MAX_FAILURES,
            )


def _tell(row: Schedule, plan: Round, count: int) -> None:
    logger.info("The schedule %s started %d executions.", row.name, count)
    if plan.is_cut:
        logger.warning(
            "The schedule %s missed more than %d fire times since %s. The latest %d are "
            "made up for, the older ones are not.",
            row.name,
            scheduling.MAX_CATCH_UP,
            row.next_fire_at,
            scheduling.MAX_CATCH_UP,
        )
    elif not plan.fire_times:
        logger.warning(
            "The schedule %s missed its fire time %s, which is not made up for.",
            row.name,
            row.next_fire_at,
        )
    elif count == 0:
        logger.warning(
            "The schedule %s was skipped: its previous execution %s has not ended.",
            row.name,
            row.last_execution,
        )
