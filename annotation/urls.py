"""The labeling page and the guidelines."""

from django.urls import path

from annotation.views import batches, gold, guideline, imports, label, live, queues, review, tasks

urlpatterns = [
    path("label/", label.label, name="label"),
    path("label/undo", label.undo, name="label-undo"),
    path("label/<str:slot>/submit", label.submit, name="label-submit"),
    path("label/<str:slot>/skip", label.skip, name="label-skip"),
    path("label/<str:slot>/heartbeat", label.heartbeat, name="label-heartbeat"),
    path("label/<str:slot>/draft", label.draft, name="label-draft"),
    path("queue/", live.queue, name="queue"),
    path("review/", review.review, name="review"),
    path("review/next", review.next_case, name="review-next"),
    path("review/watch", review.watch, name="review-watch"),
    path("review/<str:case>/", review.case, name="review-case"),
    path("review/<str:case>/<slug:action>", review.act, name="review-act"),
    path("rulings/", review.rulings, name="rulings"),
    path("gold/", gold.gold, name="gold"),
    path("gold/new/<str:schema>/", gold.new_gold, name="gold-new"),
    path("gold/people/<slug:action>", gold.act_on_standing, name="gold-standing"),
    path("gold/<str:task>/", gold.gold_one, name="gold-task"),
    path("gold/<str:task>/<slug:action>", gold.act_on_gold, name="gold-act"),
    path("settings/guidelines/", guideline.guidelines, name="guidelines"),
    path("queue/queues/", queues.queues, name="queues"),
    path("queue/queues/new", queues.queue_new, name="queue-new"),
    path("queue/queues/<str:queue>/", queues.queue_settings, name="queue-settings"),
    *(
        path(f"queue/queues/<str:queue>/{action}", queues.queue_turn, {"action": action}, name=f"queue-{action}")
        for action in ("pause", "resume", "archive")
    ),
    path("queue/people/", queues.groups, name="groups"),
    path("queue/people/new", queues.group_new, name="group-new"),
    *(
        path(f"queue/people/<str:group>/{action}", queues.group_turn, {"action": action}, name=f"group-{action}")
        for action in ("add", "remove", "delete")
    ),
    path("queue/batches/", batches.batches, name="batches"),
    path("queue/batches/new", batches.batch_new, name="batch-new"),
    path("queue/batches/<str:batch>/", batches.batch, name="batch"),
    *(
        path(f"queue/batches/<str:batch>/{action}", batches.batch_turn, {"action": action}, name=f"batch-{action}")
        for action in ("pause", "resume", "archive")
    ),
    path("tasks/", tasks.tasks, name="tasks"),
    path("tasks/change", tasks.change, name="tasks-change"),
    path("tasks/changes", tasks.edits_now, name="tasks-edits-now"),
    *(
        path(
            f"tasks/changes/<str:edit>/{action}",
            tasks.edit_action,
            {"action": action},
            name=f"tasks-edit-{action}",
        )
        for action in ("undo", "cancel")
    ),
    path("tasks/views", tasks.save_view, name="tasks-view-save"),
    path("tasks/views/<str:view>/delete", tasks.delete_view, name="tasks-view-delete"),
    path("tasks/<str:task>/", tasks.task, name="task"),
    path("tasks/<str:task>/retract/<str:annotation>", tasks.retract, name="task-retract"),
    path("tasks/<str:task>/<slug:action>", tasks.task_action, name="task-action"),
    path("imports/", imports.imports, name="imports"),
    path("imports/now", imports.imports_now, name="imports-now"),
    *(
        path(
            f"imports/<str:row>/{action}",
            imports.import_action,
            {"action": action},
            name=f"import-{action}",
        )
        for action in ("cancel", "resume")
    ),
]
