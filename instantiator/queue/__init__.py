"""Runs that wait their turn: submitted by a service, executed by a worker process, answered from the record."""

from instantiator.queue.errors import CursorInvalid, IdempotencyConflict, QueueFull, QuotaReached
from instantiator.queue.model import Event, Page, Phase, QueuedRun, QueueLimits, Submission, phase_of
from instantiator.queue.queue import Queue

__all__ = [
    "CursorInvalid",
    "Event",
    "IdempotencyConflict",
    "Page",
    "Phase",
    "Queue",
    "QueueFull",
    "QueueLimits",
    "QueuedRun",
    "QuotaReached",
    "Submission",
    "phase_of",
]
