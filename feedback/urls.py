"""This floor's pages."""

urlpatterns: list[object] = []
