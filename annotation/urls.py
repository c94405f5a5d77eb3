"""The labeling page and the guidelines."""

from django.urls import path

from annotation import (
    views,
    views_batches,
    views_gold,
    views_guideline,
    views_imports,
    views_live,
    views_queues,
    views_review,
    views_tasks,
)

urlpatterns = [
    path("label/", views.label, name="label"),
    path("label/undo", views.undo, name="label-undo"),
    path("label/<str:slot>/submit", views.submit, name="label-submit"),
    path("label/<str:slot>/skip", views.skip, name="label-skip"),
    path("label/<str:slot>/heartbeat", views.heartbeat, name="label-heartbeat"),
    path("label/<str:slot>/draft", views.draft, name="label-draft"),
    path("queue/", views_live.queue, name="queue"),
    path("review/", views_review.review, name="review"),
    path("review/next", views_review.next_case, name="review-next"),
    path("review/watch", views_review.watch, name="review-watch"),
    path("review/<str:case>/", views_review.case, name="review-case"),
    path("review/<str:case>/<slug:action>", views_review.act, name="review-act"),
    path("rulings/", views_review.rulings, name="rulings"),
    path("gold/", views_gold.gold, name="gold"),
    path("gold/new/<str:schema>/", views_gold.new_gold, name="gold-new"),
    path("gold/people/<slug:action>", views_gold.act_on_standing, name="gold-standing"),
    path("gold/<str:task>/", views_gold.gold_one, name="gold-task"),
    path("gold/<str:task>/<slug:action>", views_gold.act_on_gold, name="gold-act"),
    path("settings/guidelines/", views_guideline.guidelines, name="guidelines"),
    path("queue/queues/", views_queues.queues, name="queues"),
    path("queue/queues/new", views_queues.queue_new, name="queue-new"),
    path("queue/queues/<str:queue>/", views_queues.queue_settings, name="queue-settings"),
    *(
        path(f"queue/queues/<str:queue>/{action}", views_queues.queue_turn, {"action": action}, name=f"queue-{action}")
        for action in ("pause", "resume", "archive")
    ),
    path("queue/people/", views_queues.groups, name="groups"),
    path("queue/people/new", views_queues.group_new, name="group-new"),
    *(
        path(f"queue/people/<str:group>/{action}", views_queues.group_turn, {"action": action}, name=f"group-{action}")
        for action in ("add", "remove", "delete")
    ),
    path("queue/batches/", views_batches.batches, name="batches"),
    path("queue/batches/new", views_batches.batch_new, name="batch-new"),
    path("queue/batches/<str:batch>/", views_batches.batch, name="batch"),
    *(
        path(
            f"queue/batches/<str:batch>/{action}", views_batches.batch_turn, {"action": action}, name=f"batch-{action}"
        )
        for action in ("pause", "resume", "archive")
    ),
    path("tasks/", views_tasks.tasks, name="tasks"),
    path("tasks/change", views_tasks.change, name="tasks-change"),
    path("tasks/changes", views_tasks.edits_now, name="tasks-edits-now"),
    *(
        path(
            f"tasks/changes/<str:edit>/{action}",
            views_tasks.edit_action,
            {"action": action},
            name=f"tasks-edit-{action}",
        )
        for action in ("undo", "cancel")
    ),
    path("tasks/views", views_tasks.save_view, name="tasks-view-save"),
    path("tasks/views/<str:view>/delete", views_tasks.delete_view, name="tasks-view-delete"),
    path("tasks/<str:task>/", views_tasks.task, name="task"),
    path("tasks/<str:task>/retract/<str:annotation>", views_tasks.retract, name="task-retract"),
    path("tasks/<str:task>/<slug:action>", views_tasks.task_action, name="task-action"),
    path("imports/", views_imports.imports, name="imports"),
    path("imports/now", views_imports.imports_now, name="imports-now"),
    *(
        path(
            f"imports/<str:row>/{action}",
            views_imports.import_action,
            {"action": action},
            name=f"import-{action}",
        )
        for action in ("cancel", "resume")
    ),
]
