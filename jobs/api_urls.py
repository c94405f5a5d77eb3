"""This floor's part of the API."""

from django.urls import path

from jobs import webhook_api
from jobs.api import JobCancel, JobDetail, JobEvents, JobList

HOOKS = "projects/<slug:slug>/webhooks"
SENT = "projects/<slug:slug>/deliveries"

urlpatterns = [
    path("projects/<slug:slug>/jobs", JobList.as_view(), name="api-jobs"),
    path("projects/<slug:slug>/jobs/<str:job>:cancel", JobCancel.as_view(), name="api-job-cancel"),
    path("projects/<slug:slug>/jobs/<str:job>/events", JobEvents.as_view(), name="api-job-events"),
    path("projects/<slug:slug>/jobs/<str:job>", JobDetail.as_view(), name="api-job"),
    path("webhook-events", webhook_api.WebhookEvents.as_view(), name="api-webhook-events"),
    path(HOOKS, webhook_api.Webhooks.as_view(), name="api-webhooks"),
    path(f"{HOOKS}/<slug:webhook>:test", webhook_api.WebhookTest.as_view(), name="api-webhook-test"),
    path(f"{HOOKS}/<slug:webhook>", webhook_api.OneWebhook.as_view(), name="api-webhook"),
    path(SENT, webhook_api.Deliveries.as_view(), name="api-deliveries"),
    path(f"{SENT}/<slug:delivery>:resend", webhook_api.DeliveryResend.as_view(), name="api-delivery-resend"),
]
