"""The queue's part of the API."""

from django.urls import include, path, register_converter

from annotation.api import batches, chat, gold, imports, live, own, queue, queues, reviews, schemas, tasks, uploads
from ground.converters import PublicId

register_converter(PublicId, "public_id")

SLOTS = [
    path("<public_id:slot>:submit", queue.Submit.as_view(), name="api-submit"),
    path("<public_id:slot>:unskip", own.Unskip.as_view(), name="api-unskip"),
    path("<public_id:slot>:open", own.Opened.as_view(), name="api-open"),
    path("<public_id:slot>:skip", queue.Skip.as_view(), name="api-skip"),
    path("<public_id:slot>:release", queue.Release.as_view(), name="api-release"),
    path("<public_id:slot>:heartbeat", queue.Heartbeat.as_view(), name="api-heartbeat"),
    path("<public_id:slot>/conversations", chat.Conversations.as_view(), name="api-conversations"),
    path("<public_id:slot>/why", queues.SlotWhy.as_view(), name="api-slot-why"),
]

urlpatterns = [
    # First, since nothing is asked for as often as the next task; resolving an address reads from the top.
    path("slots/", include(SLOTS)),
    path("projects/<slug:slug>/tasks", tasks.Tasks.as_view(), name="api-tasks"),
    path("projects/<slug:slug>/tasks/<public_id:task>", tasks.TaskOne.as_view(), name="api-task"),
    path("projects/<slug:slug>/uploads", uploads.Uploads.as_view(), name="api-uploads"),
    path("projects/<slug:slug>/uploads/<public_id:upload>", uploads.UploadOne.as_view(), name="api-upload"),
    path("projects/<slug:slug>/uploads/<public_id:upload>/file", uploads.UploadFile.as_view(), name="api-upload-file"),
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
    path("projects/<slug:slug>/schemas", schemas.Schemas.as_view(), name="api-schemas"),
    path("projects/<slug:slug>/schemas:check", schemas.SchemaCheck.as_view(), name="api-schema-check"),
    path("projects/<slug:slug>/schemas/<public_id:schema>", schemas.SchemaOne.as_view(), name="api-schema"),
    path(
        "projects/<slug:slug>/schemas/<public_id:schema>:move-tasks",
        schemas.SchemaMove.as_view(),
        name="api-schema-move",
    ),
    path("schema-templates", schemas.SchemaTemplates.as_view(), name="api-schema-templates"),
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
    path("projects/<slug:slug>/notes", own.Notes.as_view(), name="api-notes"),
    path("projects/<slug:slug>/notes:seen", own.NotesSeen.as_view(), name="api-notes-seen"),
    path("projects/<slug:slug>/notes/<public_id:note>:answer", own.NoteAnswer.as_view(), name="api-note-answer"),
    path("projects/<slug:slug>/guidelines:read", own.GuidelinesRead.as_view(), name="api-guidelines-read"),
    path("projects/<slug:slug>/answers", own.OwnAnswers.as_view(), name="api-own-answers"),
    path(
        "projects/<slug:slug>/annotations/<public_id:annotation>:replace",
        own.OwnAnswerReplace.as_view(),
        name="api-replace",
    ),
    path("projects/<slug:slug>/own-work", own.OwnWork.as_view(), name="api-own-work"),
    path("projects/<slug:slug>/sensitive", own.Sensitive.as_view(), name="api-sensitive"),
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
    path("conversations/<public_id:conversation>", chat.ConversationOne.as_view(), name="api-conversation"),
    path("conversations/<public_id:conversation>:send", chat.Send.as_view(), name="api-chat-send"),
    path("conversations/<public_id:conversation>:choose", chat.Choose.as_view(), name="api-chat-choose"),
    path("conversations/<public_id:conversation>:stop", chat.Stop.as_view(), name="api-chat-stop"),
    path("conversations/<public_id:conversation>:retry", chat.Retry.as_view(), name="api-chat-retry"),
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
