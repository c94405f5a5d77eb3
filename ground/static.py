"""Static files with hashed names; only our own modules (`.mjs`) have their imports rewritten."""

from django.contrib.staticfiles.storage import HashedFilesMixin
from whitenoise.storage import CompressedManifestStaticFilesStorage


class ModuleStorage(CompressedManifestStaticFilesStorage):
    """Django's rewriting of imports breaks third-party scripts, so its patterns are narrowed to `*.mjs`."""

    support_js_module_import_aggregation = True
    manifest_strict = False
    _js_module_import_aggregation_patterns = (
        "*.mjs",
        HashedFilesMixin._js_module_import_aggregation_patterns[1],  # type: ignore[attr-defined]
    )
