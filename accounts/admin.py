"""What an operator may look at, and the little that is changed by hand."""

from django.contrib import admin

from accounts.models import Actor, ApiToken, Event, Membership, Project, User
from ground.admin import ReadOnly


@admin.register(User)
class UserAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["email", "name", "is_active", "is_staff"]
    search_fields = ["email", "name"]
    fields = ["email", "name", "locale", "time_zone", "is_active", "is_staff"]


admin.site.register([Project, Actor, Membership, ApiToken, Event], ReadOnly)
