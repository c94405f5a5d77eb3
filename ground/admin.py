"""How rows that services write are shown to an operator."""

from django.contrib import admin


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that services write."""

    def has_add_permission(self, request: object, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: object, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: object, obj: object = None) -> bool:
        return False
