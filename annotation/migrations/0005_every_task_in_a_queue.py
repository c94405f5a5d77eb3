import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """After the tasks were filed: a lane and a task always have a queue."""

    dependencies = [("annotation", "0004_file_tasks")]

    operations = [
        migrations.AlterField(
            model_name="lane",
            name="queue",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="lanes", to="annotation.queue"
            ),
        ),
        migrations.AlterField(
            model_name="task",
            name="queue",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="tasks",
                to="annotation.queue",
            ),
        ),
    ]
