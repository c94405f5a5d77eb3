"""This floor's part of the API."""

urlpatterns: list[object] = []
