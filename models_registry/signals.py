"""What higher floors may listen to. Both are sent after the commit; a sweep of the listener repairs a lost one."""

from django.dispatch import Signal

alias_moved = Signal()
"""`alias`, `move`."""

completions_ready = Signal()
"""`job`: its completions are stored. Sent again when a job is finished again: listeners are idempotent."""
