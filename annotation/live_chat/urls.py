"""What the gateway serves to the labeling page."""

from django.urls import path

from annotation.live_chat import views

urlpatterns = [path("reply", views.reply, name="live-reply")]
