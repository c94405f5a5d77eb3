"""What applications call: feedback and comparisons."""

urlpatterns: list[object] = []
