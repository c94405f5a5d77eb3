"""What applications call: feedback and comparisons."""

from django.urls import path

from feedback import public_api

urlpatterns = [
    path("feedback", public_api.Feedback.as_view(), name="public-feedback"),
    path("feedback:batch", public_api.FeedbackBatch.as_view(), name="public-feedback-batch"),
    path("feedback/<str:event>", public_api.FeedbackOne.as_view(), name="public-feedback-one"),
    path("comparisons", public_api.Comparisons.as_view(), name="public-comparisons"),
]
