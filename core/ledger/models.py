"""Runs, and the workers that do them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from core.columns import IdColumn, InstantColumn, TextColumn, new_id
from core.tenancy import TenantModel


class RunState(models.TextChoices):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Run(TenantModel):
    """One piece of work on one row of its kind, written in the transaction of its cause.

    States and the only transitions, each one conditional UPDATE:

        waiting -> running                    a worker claims what is due
        running -> running                    another worker claims what a dead one left: its lease ran out
        running -> done | failed | waiting    the claim that holds the fencing number concludes
        waiting -> cancelled                  its cause is gone

    `due_at` is when it may be claimed: the next time of what waits, the end of the lease of what runs, nothing
    for what has ended. `fence` counts claims; `attempts` counts those that tried and came to a conclusion; `lapses`
    counts the last ones in a row that came to none, since their worker died or the work broke off. Runs of one lane
    may be done by one thread, one after the other.
    """

    resource_type: ClassVar[str] = "run"

    id = IdColumn(primary_key=True, default=new_id)
    organization_id = IdColumn()  # no foreign key: the ledger outlives what it speaks of until it is pruned
    kind = TextColumn(max_length=32)
    subject_id = IdColumn()
    lane_id = IdColumn(null=True)
    state = TextColumn(max_length=16, choices=RunState.choices, default=RunState.WAITING)
    due_at = InstantColumn(null=True, default=timezone.now)
    fence = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    lapses = models.PositiveIntegerField(default=0)
    worker_id = IdColumn(null=True)
    error = TextColumn(max_length=1024, default="")
    created_at = InstantColumn(default=timezone.now)
    finished_at = InstantColumn(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], name="run_by_due_at", condition=models.Q(due_at__isnull=False)),
            models.Index(
                fields=["organization_id", "due_at"],
                name="run_by_organization",
                condition=models.Q(due_at__isnull=False),
            ),
            models.Index(fields=["kind", "subject_id"], name="run_by_subject"),
            models.Index(
                fields=["finished_at"], name="run_by_finished_at", condition=models.Q(finished_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"run {self.kind} {self.subject_id} ({self.id})"


class Worker(models.Model):
    """A process that works, as it was last seen. It is nobody's: workers serve every organization."""

    id = IdColumn(primary_key=True, default=new_id)
    host = TextColumn(max_length=255)
    process_id = models.PositiveIntegerField()
    started_at = InstantColumn()
    seen_at = InstantColumn()

    def __str__(self) -> str:
        return f"worker {self.process_id} on {self.host}"


class Chore(models.Model):
    """Something that one of all workers does now and then. Whoever moves `due_at` on does it."""

    name = TextColumn(primary_key=True, max_length=32)
    due_at = InstantColumn()

    def __str__(self) -> str:
        return f"chore {self.name}"
