"""A frozen dataset stays as it was frozen."""

from django.db import migrations

from ground.dialect import immutable


class Migration(migrations.Migration):
    dependencies = [("feedback", "0002_events_behind_rows")]

    operations = [immutable("feedback_snapshot"), immutable("feedback_snapshotrow")]
