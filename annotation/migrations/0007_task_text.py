import django.db.models.deletion
from django.db import migrations, models

from ground.dialect import RunDialectSQL


class Migration(migrations.Migration):
    """Words to search by, and an index for each order of the data browser."""

    dependencies = [("accounts", "0001_initial"), ("annotation", "0006_reviewed_annotators")]

    operations = [
        migrations.CreateModel(
            name="TaskText",
            fields=[
                (
                    "task",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="text",
                        serialize=False,
                        to="annotation.task",
                    ),
                ),
                ("words", models.TextField()),
                (
                    "project",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.project",
                    ),
                ),
            ],
        ),
        RunDialectSQL(
            postgresql=[
                "ALTER TABLE annotation_tasktext ALTER COLUMN words TYPE tsvector USING words::tsvector",
                "CREATE INDEX annotation_tasktext_words ON annotation_tasktext USING gin (words)",
            ],
            sqlite=[],
            undo_postgresql=[
                "DROP INDEX annotation_tasktext_words",
                "ALTER TABLE annotation_tasktext ALTER COLUMN words TYPE text USING words::text",
            ],
        ),
        # Django makes a second index on a unique text for LIKE. Nobody looks for parts of a public id, and an import pays for it.
        RunDialectSQL(
            postgresql=["DROP INDEX IF EXISTS annotation_task_public_id_e69ae0a1_like"],
            sqlite=[],
            undo_postgresql=[
                "CREATE INDEX annotation_task_public_id_e69ae0a1_like ON annotation_task (public_id varchar_pattern_ops)"
            ],
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["project", "priority", "id"], name="task_by_priority"),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(
                condition=models.Q(("agreement__isnull", False)),
                fields=["project", "agreement", "id"],
                name="task_by_agreement",
            ),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(
                condition=models.Q(("score__isnull", False)), fields=["project", "score", "id"], name="task_by_score"
            ),
        ),
    ]
