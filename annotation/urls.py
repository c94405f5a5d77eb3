"""The labeling page and the guidelines."""

from django.urls import path

from annotation.views import (
    batches,
    chat,
    gold,
    guideline,
    history,
    imports,
    label,
    live,
    notes,
    own_work,
    queues,
    reading,
    review,
    schemas,
    source,
    tasks,
    uploads,
)

urlpatterns = [
    path("label/", label.label, name="label"),
    path("label/undo", label.undo, name="label-undo"),
    path("label/<str:slot>/submit", label.submit, name="label-submit"),
    path("label/<str:slot>/source", source.of_slot, name="label-source"),
    path("label/<str:slot>/skip", label.skip, name="label-skip"),
    path("label/<str:slot>/unskip", label.unskip, name="label-unskip"),
    path("label/<str:slot>/opened", own_work.opened, name="label-opened"),
    path("label/note", notes.write, name="label-note"),
    path("label/read", reading.read_guidelines, name="label-read"),
    path("work/", own_work.own, name="work"),
    path("work/answers/", history.answers, name="own-answers"),
    path("work/answers/<str:annotation>/", history.answer, name="own-answer"),
    path("work/answers/<str:annotation>/replace", history.replace, name="own-answer-replace"),
    path("work/notes/", notes.own_notes, name="own-notes"),
    path("work/sensitive/", own_work.sensitive_settings, name="sensitive"),
    path("notes/", notes.notes, name="notes"),
    path("notes/<str:note>/answer", notes.answer, name="note-answer"),
    path("label/<str:slot>/heartbeat", label.heartbeat, name="label-heartbeat"),
    path("label/<str:slot>/draft", label.draft, name="label-draft"),
    path("label/<str:slot>/again", label.again, name="label-again"),
    *(
        path(
            f"label/<str:slot>/chat/<str:question>/{action}", chat.act, {"action": action}, name=f"label-chat-{action}"
        )
        for action in ("look", "send", "choose", "stop", "retry")
    ),
    path("queue/", live.queue, name="queue"),
    path("review/", review.review, name="review"),
    path("review/next", review.next_case, name="review-next"),
    path("review/watch", review.watch, name="review-watch"),
    path("review/<str:case>/", review.case, name="review-case"),
    path("review/<str:case>/source", source.of_case, name="review-source"),
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
    path("schemas/", schemas.schemas, name="schemas"),
    path("schemas/new", schemas.compose, name="schema-new"),
    path("schemas/preview", schemas.preview, name="schema-preview"),
    path("schemas/<str:schema>/edit", schemas.compose, name="schema-edit"),
    path("schemas/<str:schema>/move", schemas.move, name="schema-move"),
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
    path("tasks/<str:task>/source", source.of_task, name="task-source"),
    path("tasks/<str:task>/retract/<str:annotation>", tasks.retract, name="task-retract"),
    path("tasks/<str:task>/<slug:action>", tasks.task_action, name="task-action"),
    path("uploads/", uploads.uploads, name="uploads"),
    path("uploads/<str:upload>", uploads.upload, name="upload"),
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
