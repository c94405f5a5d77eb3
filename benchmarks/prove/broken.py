"""The product with its claim broken on purpose: it locks nothing and believes what it read. The proof must find duplicates.

The claim's lock is one of three walls (lock, lease token, constraints), each of which holds alone; so with the lock the two
others go as well, here in the proof's own process and database, never in the product.
"""

from django.db import connection

from config.wsgi import application

LOCK = " FOR UPDATE OF s SKIP LOCKED"
TOKEN = "AND state = 1 AND actor_id + 0 = %(actor)s::bigint AND lease_token = %(token)s::uuid"


def break_claims() -> None:
    from annotation import dialect

    for name in ("CLAIM_SQL", "SUBMIT_SQL", "SUBMIT_AND_CLAIM_SQL"):
        sql = getattr(dialect, name)
        unlocked = sql.replace(LOCK, "").replace(TOKEN, "AND state IN (1, 2)")
        if unlocked == sql:
            raise RuntimeError(f"{name} reads otherwise than this module expects")
        setattr(dialect, name, unlocked)


def drop_walls() -> None:
    """Take the constraints away from the database at hand."""
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX one_counted_annotation_per_slot")
        cursor.execute("ALTER TABLE annotation_task DROP CONSTRAINT task_done_within_overlap")


break_claims()

__all__ = ["application", "drop_walls"]
