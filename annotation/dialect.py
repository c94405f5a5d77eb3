"""The queue's hot statements, in each database's own words.

On PostgreSQL a claim is one statement whose cost depends neither on the number of tasks nor on what the annotator already did:
lanes are tried in order, inside a lane the search starts behind the annotator's mark, locked slots are skipped. A submit that
wants the next task is one statement too. SQLite has one writer at a time (BEGIN IMMEDIATE), so plain steps are as safe there.
"""

import json
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from annotation.data import Answer, Claim
from annotation.models import Annotation, Draft, Guideline, Lane, Mark, Skip, Slot, Task
from ground.dialect import is_postgresql
from jobs.models import Outbox

# `gate` holds one row and is read before any slot is picked: it forces the submit to happen before the claim. Without it the two
# halves of two such statements can wait for each other (SKIP LOCKED keeps a stray lock on a slot that was just leased).
_CLAIM = """
lanes AS MATERIALIZED (
  SELECT l.id, COALESCE(m.seq, 0) AS mark
  FROM annotation_lane l
  LEFT JOIN annotation_mark m ON m.lane_id = l.id AND m.actor_id = %(actor)s::bigint
  CROSS JOIN gate
  WHERE gate.n >= 0 AND l.project_id = %(project)s::bigint AND l.pool_id = ANY(%(pools)s::bigint[])
  ORDER BY l.sort),
pick AS MATERIALIZED (
  SELECT c.* FROM lanes CROSS JOIN LATERAL (
    SELECT s.id, s.lane_id, s.seq FROM annotation_slot s
    WHERE s.lane_id = lanes.id AND s.state = 0 AND s.seq > lanes.mark
      AND (SELECT true FROM annotation_slot x
           WHERE x.task_id = s.task_id AND x.actor_id = %(actor)s::bigint LIMIT 1) IS NULL
      AND (SELECT true FROM annotation_annotation y
           WHERE y.task_id = s.task_id AND y.actor_id = %(actor)s::bigint LIMIT 1) IS NULL
      AND (SELECT true FROM annotation_skip z
           WHERE z.task_id = s.task_id AND z.actor_id = %(actor)s::bigint LIMIT 1) IS NULL
    ORDER BY s.seq LIMIT 1 FOR UPDATE OF s SKIP LOCKED) c
  LIMIT 1),
moved AS (
  INSERT INTO annotation_mark (actor_id, lane_id, seq) SELECT %(actor)s::bigint, lane_id, seq FROM pick
  ON CONFLICT (actor_id, lane_id) DO UPDATE SET seq = EXCLUDED.seq),
taken AS (
  UPDATE annotation_slot SET state = 1, actor_id = %(actor)s::bigint, lease_token = gen_random_uuid(),
    leased_at = %(now)s::timestamptz, lease_expires_at = %(expires)s::timestamptz
  FROM pick WHERE annotation_slot.id = pick.id
  RETURNING annotation_slot.id, task_id, ordinal, lease_token, lease_expires_at)
"""

CLAIM_SQL = f"""
WITH gate AS (SELECT 0 AS n), {_CLAIM}
SELECT gate.n, taken.* FROM gate LEFT JOIN taken ON true
"""

_SUBMIT = """
fin AS (
  UPDATE annotation_slot SET state = 2, lease_token = NULL, lease_expires_at = NULL
  WHERE id = %(slot)s::bigint AND state = 1 AND actor_id = %(actor)s::bigint AND lease_token = %(token)s::uuid
  RETURNING id, task_id),
ann AS (
  INSERT INTO annotation_annotation (created_at, public_id, project_id, task_id, slot_id, actor_id, guideline_id, key, answers,
    display_order, seconds, counted, surplus)
  SELECT %(now)s::timestamptz, %(public_id)s, %(project)s::bigint, fin.task_id, fin.id, %(actor)s::bigint,
    (SELECT id FROM annotation_guideline WHERE project_id = %(project)s::bigint ORDER BY version DESC LIMIT 1),
    %(key)s, %(answers)s::jsonb, %(display_order)s::jsonb, %(seconds)s::double precision, true, false
  FROM fin RETURNING id),
said AS (
  INSERT INTO jobs_outbox (consumer, topic, object_id, created_at)
  SELECT 'preferences', 'annotation.submitted', ann.id, %(now)s::timestamptz FROM ann),
undrafted AS (
  DELETE FROM annotation_draft USING fin
  WHERE annotation_draft.task_id = fin.task_id AND annotation_draft.actor_id = %(actor)s::bigint),
counted AS (
  UPDATE annotation_task t SET done = done + 1, state = CASE WHEN done + 1 >= overlap THEN 1 ELSE state END
  FROM fin WHERE t.id = fin.task_id),
gate AS MATERIALIZED (SELECT count(*) AS n FROM ann)
"""

SUBMIT_SQL = f"WITH {_SUBMIT} SELECT gate.n FROM gate"

SUBMIT_AND_CLAIM_SQL = f"""
WITH {_SUBMIT}, {_CLAIM}
SELECT gate.n, taken.* FROM gate LEFT JOIN taken ON true
"""


def claim(*, actor_id: int, project_id: int, pools: Sequence[int], now: datetime, lease: timedelta) -> Claim | None:
    """Lease the next slot to the actor, or None when nothing is left behind its marks."""
    if not is_postgresql():
        return _claim_plainly(actor_id=actor_id, project_id=project_id, pools=pools, now=now, lease=lease)
    row = _one(CLAIM_SQL, _claim_values(actor_id, project_id, pools, now, lease))
    return _claim_from(row[1:])


def submit(*, slot_id: int, token: uuid.UUID, actor_id: int, project_id: int, answer: Answer) -> bool:
    """Write the answer and close the slot if the actor still holds it by this token. False: the lease was lost.

    Errors: IntegrityError when the actor already used the key (the caller then returns the first answer).
    """
    if not is_postgresql():
        return _submit_plainly(slot_id=slot_id, token=token, actor_id=actor_id, project_id=project_id, answer=answer)
    return bool(_one(SUBMIT_SQL, _submit_values(slot_id, token, actor_id, project_id, answer))[0])


def submit_and_claim(
    *,
    slot_id: int,
    token: uuid.UUID,
    actor_id: int,
    project_id: int,
    answer: Answer,
    pools: Sequence[int],
    lease: timedelta,
) -> tuple[bool, Claim | None]:
    """`submit`, and `claim` in the same breath; the claim happens even where the submit found no lease."""
    if not is_postgresql():
        done = _submit_plainly(slot_id=slot_id, token=token, actor_id=actor_id, project_id=project_id, answer=answer)
        return done, _claim_plainly(actor_id=actor_id, project_id=project_id, pools=pools, now=answer.at, lease=lease)
    values = _submit_values(slot_id, token, actor_id, project_id, answer)
    values |= _claim_values(actor_id, project_id, pools, answer.at, lease)
    row = _one(SUBMIT_AND_CLAIM_SQL, values)
    return bool(row[0]), _claim_from(row[1:])


def next_openings(count: int) -> list[int]:
    """`count` fresh sequence numbers, each greater than every one given before."""
    with connection.cursor() as cursor:
        if is_postgresql():
            cursor.execute("SELECT nextval('annotation_opening') FROM generate_series(1, %s::int)", [count])
            return [row[0] for row in cursor.fetchall()]
        cursor.execute("UPDATE annotation_opening SET value = value + %s RETURNING value", [count])
        last = cursor.fetchone()[0]
    return list(range(last - count + 1, last + 1))


def _claim_values(
    actor_id: int, project_id: int, pools: Sequence[int], now: datetime, lease: timedelta
) -> dict[str, Any]:
    return {"actor": actor_id, "project": project_id, "pools": list(pools), "now": now, "expires": now + lease}


def _submit_values(slot_id: int, token: uuid.UUID, actor_id: int, project_id: int, answer: Answer) -> dict[str, Any]:
    return {
        "slot": slot_id,
        "token": token,
        "actor": actor_id,
        "project": project_id,
        "now": answer.at,
        "public_id": answer.public_id,
        "key": answer.key,
        "answers": json.dumps(answer.answers),
        "display_order": json.dumps(answer.display_order),
        "seconds": answer.seconds,
    }


def _one(sql: str, values: dict[str, Any]) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        row: tuple[Any, ...] = cursor.fetchone()
        return row


def _claim_from(row: tuple[Any, ...]) -> Claim | None:
    return Claim(*row) if row[0] is not None else None


@transaction.atomic
def _claim_plainly(
    *, actor_id: int, project_id: int, pools: Sequence[int], now: datetime, lease: timedelta
) -> Claim | None:
    marks = dict(Mark.objects.filter(actor_id=actor_id).values_list("lane_id", "seq"))
    for lane in Lane.objects.filter(project_id=project_id, pool_id__in=pools).order_by("sort"):
        slot = (
            Slot.objects.filter(lane=lane, state=Slot.State.OPEN, seq__gt=marks.get(lane.pk, 0))
            .exclude(task__slots__actor_id=actor_id)
            .exclude(task_id__in=Annotation.objects.filter(actor_id=actor_id).values("task_id"))
            .exclude(task_id__in=Skip.objects.filter(actor_id=actor_id).values("task_id"))
            .order_by("seq")
            .first()
        )
        if slot is not None:
            return _lease_plainly(slot, actor_id, now, lease)
    return None


def _lease_plainly(slot: Slot, actor_id: int, now: datetime, lease: timedelta) -> Claim:
    token = uuid.uuid4()
    Mark.objects.update_or_create(actor_id=actor_id, lane_id=slot.lane_id, defaults={"seq": slot.seq})
    Slot.objects.filter(pk=slot.pk, state=Slot.State.OPEN).update(
        state=Slot.State.LEASED, actor_id=actor_id, lease_token=token, leased_at=now, lease_expires_at=now + lease
    )
    return Claim(slot.pk, slot.task_id, slot.ordinal, token, now + lease)


@transaction.atomic
def _submit_plainly(*, slot_id: int, token: uuid.UUID, actor_id: int, project_id: int, answer: Answer) -> bool:
    held = Slot.objects.filter(pk=slot_id, state=Slot.State.LEASED, actor_id=actor_id, lease_token=token)
    if held.update(state=Slot.State.DONE, lease_token=None, lease_expires_at=None) != 1:
        return False
    slot = Slot.objects.select_related("task").get(pk=slot_id)
    write_annotation(slot=slot, actor_id=actor_id, project_id=project_id, answer=answer)
    Draft.objects.filter(task_id=slot.task_id, actor_id=actor_id).delete()
    return True


def write_annotation(
    *, slot: Slot, actor_id: int, project_id: int, answer: Answer, counted: bool = True, surplus: bool = False
) -> Annotation:
    """The annotation, the task's count and the outbox row, by plain steps in the caller's transaction."""
    guideline = Guideline.objects.filter(project_id=project_id).order_by("-version").first()
    annotation = Annotation.objects.create(
        public_id=answer.public_id,
        project_id=project_id,
        task_id=slot.task_id,
        slot=slot,
        actor_id=actor_id,
        guideline=guideline,
        key=answer.key,
        answers=answer.answers,
        display_order=answer.display_order,
        seconds=answer.seconds,
        counted=counted,
        surplus=surplus,
        created_at=answer.at,
    )
    if counted:
        count_answer(slot.task_id, +1)
        Outbox.objects.create(
            consumer="preferences", topic="annotation.submitted", object_id=annotation.pk, created_at=answer.at
        )
    return annotation


def count_answer(task_id: int, by: int) -> None:
    """Move a task's count of answers, and its state with it. The row is locked, so two people cannot both see the old count."""
    task = Task.objects.select_for_update().get(pk=task_id)
    task.done += by
    if task.state != Task.State.ARCHIVED:
        task.state = Task.State.COMPLETE if task.done >= task.overlap else Task.State.OPEN
    task.save(update_fields=["done", "state"])
