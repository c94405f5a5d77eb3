"""The labeling page and the guidelines."""

from django.urls import path

from annotation import views, views_guideline, views_live, views_review

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
    path("settings/guidelines/", views_guideline.guidelines, name="guidelines"),
]
