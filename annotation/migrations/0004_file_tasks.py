from django.db import migrations


def file_in_main_queues(apps, schema_editor):
    """What stood in the one queue of a project goes to its main queue; lanes keep their order there."""
    Queue, Lane, Task = (apps.get_model("annotation", name) for name in ("Queue", "Lane", "Task"))
    projects = set(Task.objects.values_list("project_id", flat=True)) | set(Lane.objects.values_list("project_id", flat=True))
    for project_id in projects:
        queue = Queue.objects.create(project_id=project_id, name="main", position=1000)
        Task.objects.filter(project_id=project_id).update(queue=queue)
        for lane in Lane.objects.filter(project_id=project_id):
            later, place = divmod(lane.sort, 10)
            lane.queue, lane.priority, lane.returned = queue, 9 - later, place == 0
            lane.sort = later * 1000 + 500 + place
            lane.save()


class Migration(migrations.Migration):
    dependencies = [("annotation", "0003_queues")]

    operations = [migrations.RunPython(file_in_main_queues, migrations.RunPython.noop)]
