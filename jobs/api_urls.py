"""This floor's part of the API."""

from django.urls import path

from jobs.api import JobCancel, JobDetail, JobEvents, JobList

urlpatterns = [
    path("projects/<slug:slug>/jobs", JobList.as_view(), name="api-jobs"),
    path("projects/<slug:slug>/jobs/<str:job>:cancel", JobCancel.as_view(), name="api-job-cancel"),
    path("projects/<slug:slug>/jobs/<str:job>/events", JobEvents.as_view(), name="api-job-events"),
    path("projects/<slug:slug>/jobs/<str:job>", JobDetail.as_view(), name="api-job"),
]
