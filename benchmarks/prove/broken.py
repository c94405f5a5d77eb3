"""The product with its claim broken on purpose: it locks nothing and believes what it read. The proof must find duplicates.

The claim's lock is one of three walls (lock, lease token, constraints), each of which holds alone; so with the lock the two
others go as well, here in the proof's own process and database, never in the product.
"""

import re

from django.db import connection

from config.wsgi import application

LOCK = " FOR UPDATE OF s SKIP LOCKED"
TOKEN = re.compile(
    r"(s\.)?state \+ 0=1 AND COALESCE\((s\.)?actor_id,0\)=%\(me\)s::bigint AND lease_token=%\(token\)s::uuid"
)


def break_claims() -> None:
    from annotation import dialect

    for name in ("CLAIM_SQL", "SUBMIT_SQL", "SUBMIT_AND_CLAIM_SQL", "ANSWER_HANDED_SQL"):
        sql = getattr(dialect, name)
        unlocked = TOKEN.sub("s.state IN (1,2)", sql.replace(LOCK, ""))
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
