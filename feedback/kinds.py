"""The kinds of work this floor brings."""

from django.utils.translation import gettext_lazy as _

from feedback.services import freezing
from jobs.kinds import Kind

FREEZE = Kind(
    name=freezing.KIND,
    label=_("freeze a snapshot"),
    check=freezing.check_spec,
    run=freezing.write_snapshot,
    finish=freezing.record_snapshot,
)
