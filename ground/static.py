"""Static files with hashed names; only our own modules (`.mjs`) have their imports rewritten, and some become bundles."""

from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.storage import HashedFilesMixin
from whitenoise.storage import CompressedManifestStaticFilesStorage

from ground.bundles import bundle


class ModuleStorage(CompressedManifestStaticFilesStorage):
    """Django's rewriting of imports breaks third-party scripts, so its patterns are narrowed to `*.mjs`."""

    support_js_module_import_aggregation = True
    manifest_strict = False
    _js_module_import_aggregation_patterns = (
        "*.mjs",
        HashedFilesMixin._js_module_import_aggregation_patterns[1],  # type: ignore[attr-defined]
    )

    def stored_name(self, name: str) -> str:
        """The hashed name; the plain one where nothing was collected yet, so that an error page is not an error itself."""
        try:
            return super().stored_name(name)
        except ValueError:
            return name

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Iterator[Any]:
        if not dry_run:
            for name in filter(_is_to_bundle, paths):
                with open(self.path(name), "w", encoding="utf-8") as file:
                    file.write(bundle(name))
                paths[name] = (self, name)
        yield from super().post_process(paths, dry_run, **options)

    def is_bundled(self, name: str) -> bool:
        """Whether this module brings all it imports: once files are collected, and it is one of settings.BUNDLED_MODULES."""
        return bool(self.hashed_files) and _is_to_bundle(name)


def _is_to_bundle(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in settings.BUNDLED_MODULES)
