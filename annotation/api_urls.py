"""The queue's part of the API."""

from django.urls import path, register_converter

from annotation import api, api_batches, api_gold, api_imports, api_live, api_queues, api_reviews, api_tasks
from ground.converters import PublicId

register_converter(PublicId, "public_id")

urlpatterns = [
    path("projects/<slug:slug>/tasks", api_tasks.Tasks.as_view(), name="api-tasks"),
    path("projects/<slug:slug>/tasks/<public_id:task>", api_tasks.TaskOne.as_view(), name="api-task"),
    path("projects/<slug:slug>/imports", api_imports.Imports.as_view(), name="api-imports"),
    path("projects/<slug:slug>/imports/<public_id:row>", api_imports.ImportOne.as_view(), name="api-import"),
    path(
        "projects/<slug:slug>/imports/<public_id:row>/errors.jsonl",
        api_imports.ImportErrors.as_view(),
        name="api-import-errors",
    ),
    *(
        path(
            f"projects/<slug:slug>/imports/<public_id:row>:{action}",
            api_imports.ImportAction.as_view(),
            {"action": action},
            name=f"api-import-{action}",
        )
        for action in ("cancel", "resume")
    ),
    path("projects/<slug:slug>/bulk-edits", api_tasks.BulkEdits.as_view(), name="api-bulk-edits"),
    path("projects/<slug:slug>/bulk-edits:count", api_tasks.BulkEditCount.as_view(), name="api-bulk-edit-count"),
    path("projects/<slug:slug>/bulk-edits/<public_id:edit>", api_tasks.BulkEditOne.as_view(), name="api-bulk-edit"),
    *(
        path(
            f"projects/<slug:slug>/bulk-edits/<public_id:edit>:{action}",
            api_tasks.BulkEditAction.as_view(),
            {"action": action},
            name=f"api-bulk-edit-{action}",
        )
        for action in ("undo", "cancel")
    ),
    path("projects/<slug:slug>/views", api_tasks.Views.as_view(), name="api-views"),
    path("projects/<slug:slug>/views/<public_id:view>", api_tasks.ViewOne.as_view(), name="api-view"),
    path(
        "projects/<slug:slug>/annotations/<public_id:annotation>:retract",
        api_tasks.Retract.as_view(),
        name="api-retract",
    ),
    path("projects/<slug:slug>/guidelines", api.Guidelines.as_view(), name="api-guidelines"),
    path("projects/<slug:slug>/queue:next", api.QueueNext.as_view(), name="api-queue-next"),
    path("projects/<slug:slug>/queue:live", api_live.QueueLive.as_view(), name="api-queue-live"),
    path("projects/<slug:slug>/export.jsonl", api.Export.as_view(), name="api-export"),
    path("projects/<slug:slug>/annotations/<public_id:annotation>:undo", api.Undo.as_view(), name="api-undo"),
    path("projects/<slug:slug>/reviews", api_reviews.Reviews.as_view(), name="api-reviews"),
    path("projects/<slug:slug>/reviews:next", api_reviews.ReviewNext.as_view(), name="api-review-next"),
    path("projects/<slug:slug>/watched", api_reviews.WatchedAnnotators.as_view(), name="api-watched"),
    path("projects/<slug:slug>/rulings", api_reviews.Rulings.as_view(), name="api-rulings"),
    path("projects/<slug:slug>/rulings:read", api_reviews.RulingsRead.as_view(), name="api-rulings-read"),
    path("reviews/<public_id:case>", api_reviews.ReviewOne.as_view(), name="api-review"),
    path("reviews/<public_id:case>:take", api_reviews.ReviewTake.as_view(), name="api-review-take"),
    path("reviews/<public_id:case>:settle", api_reviews.ReviewSettle.as_view(), name="api-review-settle"),
    path("reviews/<public_id:case>:release", api_reviews.ReviewRelease.as_view(), name="api-review-release"),
    path("reviews/<public_id:case>:reopen", api_reviews.ReviewReopen.as_view(), name="api-review-reopen"),
    path("reviews/<public_id:case>:unblind", api_reviews.ReviewUnblind.as_view(), name="api-review-unblind"),
    path("slots/<public_id:slot>:submit", api.Submit.as_view(), name="api-submit"),
    path("slots/<public_id:slot>:skip", api.Skip.as_view(), name="api-skip"),
    path("slots/<public_id:slot>:release", api.Release.as_view(), name="api-release"),
    path("slots/<public_id:slot>:heartbeat", api.Heartbeat.as_view(), name="api-heartbeat"),
    path("projects/<slug:slug>/queues", api_queues.Queues.as_view(), name="api-queues"),
    path("projects/<slug:slug>/queues/<public_id:queue>", api_queues.QueueOne.as_view(), name="api-queue"),
    *(
        path(
            f"projects/<slug:slug>/queues/<public_id:queue>:{action}",
            api_queues.QueueAction.as_view(),
            {"action": action},
            name=f"api-queue-{action}",
        )
        for action in ("pause", "resume", "archive")
    ),
    path("projects/<slug:slug>/groups", api_queues.Groups.as_view(), name="api-groups"),
    path("projects/<slug:slug>/groups/<public_id:group>", api_queues.GroupOne.as_view(), name="api-group"),
    *(
        path(
            f"projects/<slug:slug>/groups/<public_id:group>:{action}",
            api_queues.GroupAction.as_view(),
            {"action": action},
            name=f"api-group-{action}",
        )
        for action in ("add", "remove")
    ),
    path("projects/<slug:slug>/tasks:assign", api_queues.Assign.as_view(), name="api-assign"),
    path("projects/<slug:slug>/tasks/scores", api_queues.Scores.as_view(), name="api-scores"),
    path("slots/<public_id:slot>/why", api_queues.SlotWhy.as_view(), name="api-slot-why"),
    path("tasks/<public_id:task>/claims", api_queues.TaskClaims.as_view(), name="api-task-claims"),
    path("projects/<slug:slug>/batches", api_batches.Batches.as_view(), name="api-batches"),
    path("projects/<slug:slug>/batches/<public_id:batch>", api_batches.BatchOne.as_view(), name="api-batch"),
    *(
        path(
            f"projects/<slug:slug>/batches/<public_id:batch>:{action}",
            view.as_view(),
            {"action": action},
            name=f"api-batch-{action}",
        )
        for view, actions in (
            (api_batches.BatchAction, ("pause", "resume", "archive")),
            (api_batches.BatchTasks, ("add", "remove")),
        )
        for action in actions
    ),
    path("projects/<slug:slug>/gold", api_gold.Gold.as_view(), name="api-gold"),
    path("projects/<slug:slug>/gold:promote", api_gold.Promotion.as_view(), name="api-gold-promote"),
    path("projects/<slug:slug>/gold/<public_id:task>", api_gold.GoldOne.as_view(), name="api-gold-one"),
    *(
        path(
            f"projects/<slug:slug>/gold/<public_id:task>:{action}",
            api_gold.GoldAction.as_view(),
            {"action": action},
            name=f"api-gold-{action}",
        )
        for action in ("retire", "restore")
    ),
    path("projects/<slug:slug>/standing", api_gold.OwnStanding.as_view(), name="api-own-standing"),
    path("projects/<slug:slug>/standings", api_gold.Standings.as_view(), name="api-standings"),
    *(
        path(
            f"projects/<slug:slug>/standings:{action}",
            api_gold.StandingAction.as_view(),
            {"action": action},
            name=f"api-standing-{action}",
        )
        for action in ("lift", "block", "admit")
    ),
]
