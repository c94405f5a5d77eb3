"""The kinds of work this floor brings."""

from django.utils.translation import gettext_lazy as _

from annotation.services import bulk, importing, refiling
from jobs.kinds import Kind

IMPORT = Kind(
    name=importing.KIND,
    label=_("import tasks"),
    run=importing.run_import,
    finish=importing.finish_import,
    closed=importing.import_closed,
    max_attempts=20,
)
BULK_EDIT = Kind(
    name=bulk.KIND,
    label=_("change many tasks"),
    run=bulk.run_edit,
    finish=bulk.finish_edit,
    closed=bulk.edit_closed,
    max_attempts=20,
)
REFILE = Kind(name=refiling.KIND, label=_("file tasks anew"), run=refiling.run_refiling, max_attempts=20)
