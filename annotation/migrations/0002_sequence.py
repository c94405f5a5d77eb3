from django.db import migrations

from ground.dialect import RunDialectSQL, immutable

# Slots are updated three times in their lives and claimed by index: vacuum early, leave room beside each row.
TUNING = [
    "ALTER TABLE annotation_slot SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02)",
    "ALTER TABLE annotation_task SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02)",
    "ALTER TABLE annotation_mark SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02)",
]


class Migration(migrations.Migration):
    dependencies = [("annotation", "0001_initial")]

    operations = [
        RunDialectSQL(
            postgresql=["CREATE SEQUENCE annotation_opening AS bigint CACHE 1", *TUNING],
            sqlite=["CREATE TABLE annotation_opening (value bigint NOT NULL)", "INSERT INTO annotation_opening VALUES (0)"],
            undo_postgresql=["DROP SEQUENCE annotation_opening"],
            undo_sqlite=["DROP TABLE annotation_opening"],
        ),
        immutable("annotation_schema"),
        immutable("annotation_guideline"),
    ]
