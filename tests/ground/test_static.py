from pathlib import Path
from typing import Any

from ground.static import ModuleStorage


def test_a_site_whose_files_were_never_collected_names_them_as_they_lie(tmp_path: Path, settings: Any) -> None:
    settings.DEBUG = False
    storage = ModuleStorage(location=tmp_path, base_url="/static/")
    assert storage.url("plumbline.css") == "/static/plumbline.css"


def test_a_collected_file_is_named_by_its_content(tmp_path: Path, settings: Any) -> None:
    settings.DEBUG = False
    (tmp_path / "plumbline.css").write_text("body { color: black }")
    storage = ModuleStorage(location=tmp_path, base_url="/static/")
    assert storage.url("plumbline.css") != "/static/plumbline.css"
    assert storage.url("plumbline.css").startswith("/static/plumbline.")
