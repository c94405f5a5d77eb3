"""Sends what webhooks wait for, with pauses that grow. The delivery's row is the truth; the job that sends is only its hands."""

import asyncio
import base64
import hashlib
import hmac
import time
from datetime import timedelta
from typing import Any

from django.db.models import F
from django.utils.translation import gettext_lazy as _

from ground import clock
from jobs.kinds import JSON, Kind
from jobs.models import Delivery, Job
from jobs.posting import Answer, post
from jobs.services import submit

PAUSES = (5, 30, 120, 600, 3600, 3 * 3600, 8 * 3600, 24 * 3600)
"""Seconds after each failed attempt; after the last of them the delivery has failed."""
CLAIM_SECONDS = 60
"""Longer than a request may take: a sender that died in the middle leaves its delivery to the next after that."""
AT_ONCE = 20
OF_ONE_WEBHOOK = 4
"""Of one receiver in a round, so that a dead one does not keep the others waiting."""
WORK_SECONDS = 45.0
KEPT = timedelta(days=30)
SENDING = "webhooks"


def start_if_due() -> None:
    """A job that sends, unless one is queued or at work. It belongs to no project: it serves all."""
    going = Job.objects.filter(kind=SENDING, state__in=(Job.State.QUEUED, Job.State.RUNNING))
    if due().exists() and not going.exists():
        submit(actor=None, project=None, kind=SENDING, spec={"schema_version": 1})


def due() -> Any:
    waiting = Delivery.objects.filter(state=Delivery.State.WAITING, due_at__lte=clock.now())
    return waiting.filter(webhook__retired_at=None, webhook__paused=False)


def run(job: Job) -> JSON:
    """Rounds of requests until nothing is due or a bound is reached; the next job goes on."""
    until = time.monotonic() + WORK_SECONDS
    sent = 0
    while time.monotonic() < until and (claimed := claim_round()):
        for row, answer in zip(claimed, asyncio.run(_send_all(claimed)), strict=True):
            _write_down(row, answer)
        sent += len(claimed)
    return {"sent": sent}


KIND = Kind(name=SENDING, label=_("webhooks"), run=run, short=True, max_attempts=1)


def claim_round() -> list[Delivery]:
    """Up to twenty, few of each webhook, each held by nobody else: of two senders one finds `due_at` where it was."""
    hooks = list(due().order_by().values_list("webhook", flat=True).distinct()[:AT_ONCE])
    rows = due().select_related("webhook").order_by("due_at", "pk")
    found = [row for hook in hooks for row in rows.filter(webhook=hook)[:OF_ONE_WEBHOOK]]
    return [row for row in found[:AT_ONCE] if _claimed(row)]


def _claimed(row: Delivery) -> bool:
    held = {"due_at": clock.now() + timedelta(seconds=CLAIM_SECONDS), "attempts": F("attempts") + 1}
    won = Delivery.objects.filter(pk=row.pk, state=Delivery.State.WAITING, due_at=row.due_at).update(**held)
    if won:
        row.attempts += 1
    return bool(won)


async def _send_all(rows: list[Delivery]) -> list[Answer]:
    return await asyncio.gather(*map(send, rows))


async def send(row: Delivery) -> Answer:
    """The row came with its webhook: nothing here asks the database."""
    body, hook = row.body.encode(), row.webhook
    return await post(hook.url, body, headers_of(row.public_id, int(clock.now().timestamp()), body, hook.secret))


def headers_of(name: str, timestamp: int, body: bytes, secret: str) -> dict[str, str]:
    """Those of Standard Webhooks 1.0, so that receivers need no code of ours."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "Plumbline",
        "Webhook-Id": name,
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": f"v1,{signature(name, timestamp, body, secret)}",
    }


def signature(name: str, timestamp: int, body: bytes, secret: str) -> str:
    """HMAC-SHA256 over `id.timestamp.body` under the secret's bytes, in base64."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return base64.b64encode(hmac.digest(key, f"{name}.{timestamp}.".encode() + body, hashlib.sha256)).decode()


def _write_down(row: Delivery, answer: Answer) -> None:
    """Only if nobody asked for it anew meanwhile: then `attempts` began again."""
    last = {"sent_at": clock.now(), "status": answer.status, "error": answer.error[:300]}
    held = Delivery.objects.filter(pk=row.pk, attempts=row.attempts, state=Delivery.State.WAITING)
    if not answer.error:
        held.update(state=Delivery.State.DELIVERED, **last)
    elif answer.final or row.attempts > len(PAUSES):
        held.update(state=Delivery.State.FAILED, **last)
    else:
        held.update(due_at=clock.now() + timedelta(seconds=PAUSES[row.attempts - 1]), **last)


def forget_old() -> None:
    """What was delivered or given up long ago, and the jobs that sent it."""
    before = clock.now() - KEPT
    Delivery.objects.exclude(state=Delivery.State.WAITING).filter(created_at__lt=before).delete()
    Job.objects.filter(kind=SENDING, state__in=Job.FINAL, finished_at__lt=clock.now() - timedelta(days=1)).delete()
