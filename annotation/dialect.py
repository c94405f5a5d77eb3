"""The queue's hot statements, in each database's own words.

On PostgreSQL a claim is one statement whose cost depends neither on the number of tasks nor on what the annotator already did:
lanes are tried in order, inside a lane the search starts behind the annotator's mark, locked slots are skipped. A submit that
wants the next task is one statement too. SQLite has one writer at a time (BEGIN IMMEDIATE), so plain steps are as safe there.
"""

import json
import re
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from annotation.data import Answer, Claim, Content
from annotation.models import (
    Annotation,
    Batch,
    Draft,
    GroupMember,
    Guideline,
    Lane,
    Mark,
    Queue,
    Skip,
    Slot,
    Standing,
    Task,
)
from ground.dialect import drop_broken_connection, is_postgresql, trust_connection
from jobs.models import Outbox

# `gate` holds one row and is read before any slot is picked: it forces the submit to happen before the claim. Without it the two
# halves of two such statements can wait for each other (SKIP LOCKED keeps a stray lock on a slot that was just leased).
_CLAIM = """
mine AS MATERIALIZED (SELECT group_id FROM annotation_groupmember WHERE actor_id = %(me)s::bigint),
lanes AS MATERIALIZED (
  SELECT l.id, COALESCE(m.seq, -1) AS mark
  FROM annotation_lane l
  JOIN annotation_queue q ON q.id = l.queue_id AND q.state = 0
  LEFT JOIN annotation_batch b ON b.id = l.batch_id
  LEFT JOIN annotation_mark m ON m.lane_id = l.id AND m.actor_id = %(me)s::bigint
  CROSS JOIN gate
  WHERE gate.n > 0 AND l.project_id = %(project)s::bigint
    AND (%(queue)s::bigint IS NULL OR q.id = %(queue)s::bigint)
    AND (l.pool_id IN (0, -%(me)s::bigint) OR l.pool_id IN (SELECT group_id FROM mine))
    AND (q.group_id IS NULL OR q.group_id IN (SELECT group_id FROM mine))
    AND (b.id IS NULL OR b.state = 0) AND (NOT l.sensitive OR %(any)s)
    AND NOT EXISTS (SELECT 1 FROM annotation_standing z
                    WHERE z.actor_id = %(me)s::bigint AND z.queue_id = q.id AND z.state >= 2)
  ORDER BY q.position, q.id, l.sort, l.id),
pick AS MATERIALIZED (
  SELECT c.* FROM lanes CROSS JOIN LATERAL (
    SELECT s.id, s.lane_id, s.seq FROM annotation_slot s
    WHERE s.lane_id = lanes.id AND s.state = 0 AND s.seq > lanes.mark
      AND NOT COALESCE(
        (SELECT true FROM annotation_slot x WHERE x.task_id = s.task_id AND x.actor_id = %(me)s::bigint LIMIT 1),
        (SELECT true FROM annotation_annotation y WHERE y.task_id = s.task_id AND y.actor_id + 0 = %(me)s::bigint LIMIT 1),
        (SELECT true FROM annotation_skip z WHERE z.task_id = s.task_id AND z.actor_id + 0 = %(me)s::bigint LIMIT 1),
        false)
    ORDER BY s.seq LIMIT 1 FOR UPDATE OF s SKIP LOCKED) c
  LIMIT 1),
moved AS (
  INSERT INTO annotation_mark (actor_id, lane_id, seq) SELECT %(me)s::bigint, lane_id, seq FROM pick
  ON CONFLICT (actor_id, lane_id) DO UPDATE SET seq = EXCLUDED.seq),
taken AS (
  UPDATE annotation_slot s SET state = 1, actor_id = %(me)s::bigint, lease_token = gen_random_uuid(),
    leased_at = %(now)s, lease_expires_at = %(expires)s
  FROM pick WHERE s.id = pick.id
  RETURNING s.id, task_id, ordinal, lease_token, lease_expires_at)
"""

# The three looks inside NOT COALESCE are one condition on purpose: the planner thinks that half of the slots meet it, and so reads
# the index in order until the first that does. As three IS NULL conditions it expects next to none, and sorts the whole lane.

# `actor_id + 0` keeps the planner off indexes that begin with the actor: while a table's statistics are young it takes them, and
# then reads everything this actor ever did.

# With the slot comes everything that is needed to show it: one round trip from an answer to the next task.
_SERVE = """
SELECT gate.n, gate.annotation, taken.*, t.public_id, t.schema_id, t.prompt_id, t.data::text, p.messages::text,
  (SELECT json_agg(c.text ORDER BY k.ordinal)::text FROM annotation_candidate k
   JOIN models_registry_completion c ON c.id = k.completion_id WHERE k.task_id = taken.task_id),
  (SELECT d.answers::text FROM annotation_draft d
   WHERE d.task_id = taken.task_id AND d.actor_id = %(me)s::bigint)
FROM gate LEFT JOIN taken ON true
LEFT JOIN annotation_task t ON t.id = taken.task_id
LEFT JOIN models_registry_prompt p ON p.id = t.prompt_id
"""

# `state + 0` and COALESCE hide the partial indexes from the planner: while they are young it believes them empty, prefers one to
# the key, and then reads every place that was ever answered.
_HELD = """
fin AS (
  UPDATE annotation_slot s SET state = 2, lease_token = NULL, lease_expires_at = NULL
  WHERE s.id = %(slot)s::bigint AND state + 0 = 1 AND COALESCE(actor_id, 0) = %(me)s::bigint
    AND lease_token = %(token)s::uuid
  RETURNING s.id, task_id),
"""

# The same, and what the answer rests on besides the lease: the access token still opens this, and the task still stands.
_HELD_AND_ALLOWED = """
fin AS (
  UPDATE annotation_slot s SET state = 2, lease_token = NULL, lease_expires_at = NULL
  FROM annotation_task t, accounts_apitoken k
  WHERE s.id = %(slot)s::bigint AND s.state + 0 = 1 AND COALESCE(s.actor_id, 0) = %(me)s::bigint
    AND lease_token = %(token)s::uuid AND t.id = s.task_id AND t.state <> 2 AND t.schema_id = %(schema)s::bigint
    AND k.id = %(access)s::bigint AND revoked_at IS NULL AND scopes @> %(scope)s::jsonb
    AND COALESCE(expires_at > %(now)s, true)
  RETURNING s.id, s.task_id),
"""

_SUBMIT = """
ann AS (
  INSERT INTO annotation_annotation (created_at, public_id, project_id, task_id, slot_id, actor_id, guideline_id, key, answers,
    display_order, seconds, counted, surplus, settlement)
  SELECT %(now)s::timestamptz, %(public_id)s, %(project)s::bigint, fin.task_id, fin.id, %(me)s::bigint,
    (SELECT id FROM annotation_guideline WHERE project_id = %(project)s::bigint ORDER BY version DESC LIMIT 1),
    %(key)s, %(answers)s::jsonb, %(display_order)s::jsonb, %(seconds)s::double precision, true, false, false
  FROM fin RETURNING id),
undrafted AS (
  DELETE FROM annotation_draft d USING fin WHERE d.task_id = fin.task_id AND d.actor_id = %(me)s::bigint),
counted AS (
  UPDATE annotation_task t SET done = done + 1,
    state = CASE WHEN done + 1 >= overlap AND state = 0 AND purpose = 0 THEN 1 ELSE state END
  FROM fin WHERE t.id = fin.task_id RETURNING t.id, t.purpose, t.done >= t.overlap AS complete),
said AS (
  INSERT INTO jobs_outbox (consumer, topic, object_id, created_at)
  SELECT 'preferences', 'annotation.submitted', ann.id, %(now)s FROM ann, counted WHERE counted.purpose = 0
  UNION ALL
  SELECT 'reviews', 'task.answered', counted.id, %(now)s FROM counted
  WHERE counted.purpose = 0 AND (counted.complete OR %(flagged)s::boolean)),
gate AS MATERIALIZED (SELECT count(*) AS n, max(id) AS annotation FROM ann)
"""


def _flat(sql: str) -> str:
    """Without needless space: psycopg remembers how it read a statement only up to 4,096 bytes; reading one anew costs 55 µs."""
    return re.sub(r" ?([(),=]) ?", r"\1", " ".join(sql.split()))


CLAIM_SQL = _flat(f"WITH gate AS (SELECT 1 AS n, NULL::bigint AS annotation), {_CLAIM} {_SERVE}")
SUBMIT_SQL = _flat(f"WITH {_HELD} {_SUBMIT} SELECT gate.n, gate.annotation FROM gate")
SUBMIT_AND_CLAIM_SQL = _flat(f"WITH {_HELD} {_SUBMIT}, {_CLAIM} {_SERVE}")
ANSWER_HANDED_SQL = _flat(f"WITH {_HELD_AND_ALLOWED} {_SUBMIT}, {_CLAIM} {_SERVE}")


@dataclass(frozen=True)
class Asker:
    """Who claims, where: an actor in a project, in one queue or (None) in all of them; whether sensitive tasks too."""

    actor_id: int
    project_id: int
    queue_id: int | None = None
    sensitive: bool = True


def claim(asker: Asker, *, now: datetime, lease: timedelta) -> Claim | None:
    """Lease the next slot to the actor, or None when nothing is left behind its marks."""
    if not is_postgresql():
        return _claim_plainly(asker, now=now, lease=lease)
    return _claim_from(_one(CLAIM_SQL, _claim_values(asker, now, lease))[2:])


def submit(asker: Asker, *, slot_id: int, token: uuid.UUID, answer: Answer) -> int | None:
    """Write the answer and close the slot if the actor still holds it by this token. None: the lease was lost.

    Returns the annotation's key. Errors: IntegrityError when the actor already used the idempotency key.
    """
    if not is_postgresql():
        return _submit_plainly(asker, slot_id=slot_id, token=token, answer=answer)
    found: int | None = _one(SUBMIT_SQL, _submit_values(asker, slot_id, token, answer))[1]
    return found


def submit_and_claim(
    asker: Asker, *, slot_id: int, token: uuid.UUID, answer: Answer, lease: timedelta
) -> tuple[int | None, Claim | None]:
    """`submit`, and in the same breath `claim`; nothing is claimed where the lease was lost."""
    if not is_postgresql():
        done = _submit_plainly(asker, slot_id=slot_id, token=token, answer=answer)
        return done, _claim_plainly(asker, now=answer.at, lease=lease) if done else None
    values = _submit_values(asker, slot_id, token, answer) | _claim_values(asker, answer.at, lease)
    row = _one(SUBMIT_AND_CLAIM_SQL, values)
    return row[1], _claim_from(row[2:])


def answer_handed(
    asker: Asker,
    *,
    slot_id: int,
    token: uuid.UUID,
    answer: Answer,
    lease: timedelta,
    access_id: int,
    scope: str,
    schema_id: int,
) -> tuple[int | None, Claim | None]:
    """`submit_and_claim` where the access token (its key) is live and carries the scope, and the task is neither archived nor
    under another schema by now.

    Only for PostgreSQL, where it spares the reads that would tell so before. Errors: OperationalError where the connection had
    ended; the answer may be written then, and `submit` tells.
    """
    values = _submit_values(asker, slot_id, token, answer) | _claim_values(asker, answer.at, lease)
    trust_connection()
    try:
        row = _one(ANSWER_HANDED_SQL, values | {"access": access_id, "scope": json.dumps([scope]), "schema": schema_id})
    except OperationalError:
        drop_broken_connection()
        raise
    return row[1], _claim_from(row[2:])


def next_openings(count: int) -> list[int]:
    """`count` fresh sequence numbers, each greater than every one given before."""
    if count == 0:
        return []
    with connection.cursor() as cursor:
        if is_postgresql():
            cursor.execute("SELECT nextval('annotation_opening') FROM generate_series(1, %s::int)", [count])
            return [row[0] for row in cursor.fetchall()]
        cursor.execute("UPDATE annotation_opening SET value = value + %s RETURNING value", [count])
        last = cursor.fetchone()[0]
    return list(range(last - count + 1, last + 1))


def move_slots(places: Sequence[tuple[int, int, int, int]]) -> None:
    """Put slots, which the caller has locked, into lanes: (slot, lane, seq, state) each."""
    if not places:
        return
    with connection.cursor() as cursor:
        if is_postgresql():
            columns = [list(column) for column in zip(*places, strict=True)]
            cursor.execute(
                "UPDATE annotation_slot s SET lane_id = v.lane, seq = v.seq, state = v.state "
                "FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::smallint[]) AS v(id, lane, seq, state) "
                "WHERE s.id = v.id",
                columns,
            )
        else:
            rows = [(lane, seq, state, slot) for slot, lane, seq, state in places]
            cursor.executemany("UPDATE annotation_slot SET lane_id = %s, seq = %s, state = %s WHERE id = %s", rows)


def _claim_values(asker: Asker, now: datetime, lease: timedelta) -> dict[str, Any]:
    return {
        "me": asker.actor_id,
        "project": asker.project_id,
        "queue": asker.queue_id,
        "any": asker.sensitive,
        "now": now,
        "expires": now + lease,
    }


def _submit_values(asker: Asker, slot_id: int, token: uuid.UUID, answer: Answer) -> dict[str, Any]:
    return {
        "slot": slot_id,
        "token": token,
        "me": asker.actor_id,
        "project": asker.project_id,
        "now": answer.at,
        "public_id": answer.public_id,
        "key": answer.key,
        "answers": json.dumps(answer.answers),
        "display_order": json.dumps(answer.display_order),
        "seconds": answer.seconds,
        "flagged": answer.flagged,
    }


def _one(sql: str, values: dict[str, Any]) -> tuple[Any, ...]:
    """Run one statement: a transaction by itself, or a savepoint of the caller's, so that a refusal leaves that usable."""
    with _savepoint(), connection.cursor() as cursor:
        cursor.execute(sql, values)
        row: tuple[Any, ...] = cursor.fetchone()
        return row


def _savepoint() -> AbstractContextManager[Any]:
    return transaction.atomic() if connection.in_atomic_block else nullcontext()


def _claim_from(row: tuple[Any, ...]) -> Claim | None:
    if row[0] is None:
        return None
    public_id, schema_id, prompt_id, data, messages, texts, draft = row[5:]
    content = Content(
        task_id=public_id,
        schema_id=schema_id,
        prompt_id=prompt_id,
        data=json.loads(data),
        prompt=json.loads(messages) if messages else [],
        texts=json.loads(texts) if texts else [],
        draft=json.loads(draft) if draft else None,
    )
    slot_id, task_id, ordinal, token, expires = row[:5]
    return Claim(slot_id, task_id, ordinal, token, expires, content)


@transaction.atomic
def _claim_plainly(asker: Asker, *, now: datetime, lease: timedelta) -> Claim | None:
    slot = next_waiting(asker)
    return _lease_plainly(slot, asker.actor_id, now, lease) if slot else None


def next_waiting(asker: Asker) -> Slot | None:
    """The slot that a claim would take now, by plain steps and without a lock: on PostgreSQL good for a look only."""
    marks = dict(Mark.objects.filter(actor_id=asker.actor_id).values_list("lane_id", "seq"))
    for lane in _lanes_for(asker):
        slot = (
            Slot.objects.filter(lane=lane, state=Slot.State.OPEN, seq__gt=marks.get(lane.pk, -1))
            .exclude(_met(Slot, asker) | _met(Annotation, asker) | _met(Skip, asker))
            .select_related("lane")
            .order_by("seq")
            .first()
        )
        if slot is not None:
            return slot
    return None


def _met(model: type[Slot] | type[Annotation] | type[Skip], asker: Asker) -> Exists:
    return Exists(model._default_manager.filter(actor_id=asker.actor_id, task=OuterRef("task")))


def _lanes_for(asker: Asker) -> QuerySet[Lane]:
    """The lanes an actor may take from, in the order they are tried; what the claim's first CTE says on PostgreSQL."""
    mine = GroupMember.objects.filter(actor_id=asker.actor_id).values("group_id")
    barred = Standing.objects.filter(actor_id=asker.actor_id, state__gte=Standing.State.PAUSED)
    lanes = Lane.objects.filter(project_id=asker.project_id, queue__state=Queue.State.RUNNING)
    if asker.queue_id is not None:
        lanes = lanes.filter(queue_id=asker.queue_id)
    if not asker.sensitive:
        lanes = lanes.filter(sensitive=False)
    return (
        lanes.filter(Q(pool_id__in=[0, -asker.actor_id]) | Q(pool_id__in=mine))
        .filter(Q(queue__group=None) | Q(queue__group__in=mine))
        .filter(Q(batch=None) | Q(batch__state=Batch.State.RUNNING))
        .exclude(queue_id__in=barred.values("queue_id"))
        .order_by("queue__position", "queue_id", "sort", "pk")
    )


def _lease_plainly(slot: Slot, actor_id: int, now: datetime, lease: timedelta) -> Claim:
    token = uuid.uuid4()
    Mark.objects.update_or_create(actor_id=actor_id, lane_id=slot.lane_id, defaults={"seq": slot.seq})
    Slot.objects.filter(pk=slot.pk, state=Slot.State.OPEN).update(
        state=Slot.State.LEASED, actor_id=actor_id, lease_token=token, leased_at=now, lease_expires_at=now + lease
    )
    return Claim(slot.pk, slot.task_id, slot.ordinal, token, now + lease)


@transaction.atomic
def _submit_plainly(asker: Asker, *, slot_id: int, token: uuid.UUID, answer: Answer) -> int | None:
    held = Slot.objects.filter(pk=slot_id, state=Slot.State.LEASED, actor_id=asker.actor_id, lease_token=token)
    if held.update(state=Slot.State.DONE, lease_token=None, lease_expires_at=None) != 1:
        return None
    slot = Slot.objects.select_related("task").get(pk=slot_id)
    annotation = write_annotation(slot=slot, actor_id=asker.actor_id, project_id=asker.project_id, answer=answer)
    Draft.objects.filter(task_id=slot.task_id, actor_id=asker.actor_id).delete()
    return annotation.pk


def write_annotation(
    *, slot: Slot, actor_id: int, project_id: int, answer: Answer, counted: bool = True, surplus: bool = False
) -> Annotation:
    """The annotation, the task's count and the outbox rows, by plain steps in the caller's transaction."""
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
        task = count_answer(slot.task_id, +1)
        if task.purpose == Task.Purpose.PRODUCTION:
            _announce(annotation, task, answer)
    return annotation


def _announce(annotation: Annotation, task: Task, answer: Answer) -> None:
    Outbox.objects.create(
        consumer="preferences", topic="annotation.submitted", object_id=annotation.pk, created_at=answer.at
    )
    if answer.flagged or task.done >= task.overlap:
        Outbox.objects.create(consumer="reviews", topic="task.answered", object_id=task.pk, created_at=answer.at)


def count_answer(task_id: int, by: int) -> Task:
    """Move a task's count of answers, and its state with it. The row is locked, so two people cannot both see the old count."""
    task = Task.objects.select_for_update().get(pk=task_id)
    task.done += by
    if task.state != Task.State.ARCHIVED and not task.is_gold:
        task.state = Task.State.COMPLETE if task.done >= task.overlap else Task.State.OPEN
    task.save(update_fields=["done", "state"])
    return task
