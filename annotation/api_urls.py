"""The queue's part of the API."""

from django.urls import path, register_converter

from annotation.api import batches, gold, imports, live, queue, queues, reviews, tasks
from ground.converters import PublicId

register_converter(PublicId, "public_id")

urlpatterns = [
    path("projects/<slug:slug>/tasks", tasks.Tasks.as_view(), name="api-tasks"),
    path("projects/<slug:slug>/tasks/<public_id:task>", tasks.TaskOne.as_view(), name="api-task"),
    path("projects/<slug:slug>/imports", imports.Imports.as_view(), name="api-imports"),
    path("projects/<slug:slug>/imports/<public_id:row>", imports.ImportOne.as_view(), name="api-import"),
    path(
        "projects/<slug:slug>/imports/<public_id:row>/errors.jsonl",
        imports.ImportErrors.as_view(),
        name="api-import-errors",
    ),
    *(
        path(
            f"projects/<slug:slug>/imports/<public_id:row>:{action}",
            imports.ImportAction.as_view(),
            {"action": action},
            name=f"api-import-{action}",
        )
        for action in ("cancel", "resume")
    ),
    path("projects/<slug:slug>/bulk-edits", tasks.BulkEdits.as_view(), name="api-bulk-edits"),
    path("projects/<slug:slug>/bulk-edits:count", tasks.BulkEditCount.as_view(), name="api-bulk-edit-count"),
    path("projects/<slug:slug>/bulk-edits/<public_id:edit>", tasks.BulkEditOne.as_view(), name="api-bulk-edit"),
    *(
        path(
            f"projects/<slug:slug>/bulk-edits/<public_id:edit>:{action}",
            tasks.BulkEditAction.as_view(),
            {"action": action},
            name=f"api-bulk-edit-{action}",
        )
        for action in ("undo", "cancel")
    ),
    path("projects/<slug:slug>/views", tasks.Views.as_view(), name="api-views"),
    path("projects/<slug:slug>/views/<public_id:view>", tasks.ViewOne.as_view(), name="api-view"),
    path(
        "projects/<slug:slug>/annotations/<public_id:annotation>:retract",
        tasks.Retract.as_view(),
        name="api-retract",
    ),
    path("projects/<slug:slug>/guidelines", queue.Guidelines.as_view(), name="api-guidelines"),
    path("projects/<slug:slug>/queue:next", queue.QueueNext.as_view(), name="api-queue-next"),
    path("projects/<slug:slug>/queue:live", live.QueueLive.as_view(), name="api-queue-live"),
    path("projects/<slug:slug>/export.jsonl", queue.Export.as_view(), name="api-export"),
    path("projects/<slug:slug>/annotations/<public_id:annotation>:undo", queue.Undo.as_view(), name="api-undo"),
    path("projects/<slug:slug>/reviews", reviews.Reviews.as_view(), name="api-reviews"),
    path("projects/<slug:slug>/reviews:next", reviews.ReviewNext.as_view(), name="api-review-next"),
    path("projects/<slug:slug>/watched", reviews.WatchedAnnotators.as_view(), name="api-watched"),
    path("projects/<slug:slug>/rulings", reviews.Rulings.as_view(), name="api-rulings"),
    path("projects/<slug:slug>/rulings:read", reviews.RulingsRead.as_view(), name="api-rulings-read"),
    path("reviews/<public_id:case>", reviews.ReviewOne.as_view(), name="api-review"),
    path("reviews/<public_id:case>:take", reviews.ReviewTake.as_view(), name="api-review-take"),
    path("reviews/<public_id:case>:settle", reviews.ReviewSettle.as_view(), name="api-review-settle"),
    path("reviews/<public_id:case>:release", reviews.ReviewRelease.as_view(), name="api-review-release"),
    path("reviews/<public_id:case>:reopen", reviews.ReviewReopen.as_view(), name="api-review-reopen"),
    path("reviews/<public_id:case>:unblind", reviews.ReviewUnblind.as_view(), name="api-review-unblind"),
    path("slots/<public_id:slot>:submit", queue.Submit.as_view(), name="api-submit"),
    path("slots/<public_id:slot>:skip", queue.Skip.as_view(), name="api-skip"),
    path("slots/<public_id:slot>:release", queue.Release.as_view(), name="api-release"),
    path("slots/<public_id:slot>:heartbeat", queue.Heartbeat.as_view(), name="api-heartbeat"),
    path("projects/<slug:slug>/queues", queues.Queues.as_view(), name="api-queues"),
    path("projects/<slug:slug>/queues/<public_id:queue>", queues.QueueOne.as_view(), name="api-queue"),
    *(
        path(
            f"projects/<slug:slug>/queues/<public_id:queue>:{action}",
            queues.QueueAction.as_view(),
            {"action": action},
            name=f"api-queue-{action}",
        )
        for action in ("pause", "resume", "archive")
    ),
    path("projects/<slug:slug>/groups", queues.Groups.as_view(), name="api-groups"),
    path("projects/<slug:slug>/groups/<public_id:group>", queues.GroupOne.as_view(), name="api-group"),
    *(
        path(
            f"projects/<slug:slug>/groups/<public_id:group>:{action}",
            queues.GroupAction.as_view(),
            {"action": action},
            name=f"api-group-{action}",
        )
        for action in ("add", "remove")
    ),
    path("projects/<slug:slug>/tasks:assign", queues.Assign.as_view(), name="api-assign"),
    path("projects/<slug:slug>/tasks/scores", queues.Scores.as_view(), name="api-scores"),
    path("slots/<public_id:slot>/why", queues.SlotWhy.as_view(), name="api-slot-why"),
    path("tasks/<public_id:task>/claims", queues.TaskClaims.as_view(), name="api-task-claims"),
    path("projects/<slug:slug>/batches", batches.Batches.as_view(), name="api-batches"),
    path("projects/<slug:slug>/batches/<public_id:batch>", batches.BatchOne.as_view(), name="api-batch"),
    *(
        path(
            f"projects/<slug:slug>/batches/<public_id:batch>:{action}",
            view.as_view(),
            {"action": action},
            name=f"api-batch-{action}",
        )
        for view, actions in (
            (batches.BatchAction, ("pause", "resume", "archive")),
            (batches.BatchTasks, ("add", "remove")),
        )
        for action in actions
    ),
    path("projects/<slug:slug>/gold", gold.Gold.as_view(), name="api-gold"),
    path("projects/<slug:slug>/gold:promote", gold.Promotion.as_view(), name="api-gold-promote"),
    path("projects/<slug:slug>/gold/<public_id:task>", gold.GoldOne.as_view(), name="api-gold-one"),
    *(
        path(
            f"projects/<slug:slug>/gold/<public_id:task>:{action}",
            gold.GoldAction.as_view(),
            {"action": action},
            name=f"api-gold-{action}",
        )
        for action in ("retire", "restore")
    ),
    path("projects/<slug:slug>/standing", gold.OwnStanding.as_view(), name="api-own-standing"),
    path("projects/<slug:slug>/standings", gold.Standings.as_view(), name="api-standings"),
    *(
        path(
            f"projects/<slug:slug>/standings:{action}",
            gold.StandingAction.as_view(),
            {"action": action},
            name=f"api-standing-{action}",
        )
        for action in ("lift", "block", "admit")
    ),
]
