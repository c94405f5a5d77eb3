"""A bundle says what the modules say, once each, in the order a browser runs them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command

from ground import modules
from ground.bundles import bundle
from ground.static import ModuleStorage

FILES = {
    "js/page.mjs": 'import "./first.mjs";\nimport * as parts from "./parts/b.mjs";\nimport { c as see,\n  d } from "./c.mjs";\n'
    'console.log("page", parts.b(), see, d());\nexport const whole = () => import("./later.mjs");\n',
    "js/first.mjs": 'console.log("first");\n',
    "js/parts/b.mjs": 'import { c } from "../c.mjs";\nexport function b() { return `b of ${c}`; }\nimport("../later.mjs");\n',
    "js/c.mjs": 'console.log("c");\nexport const c = "c";\nexport async function d() { return 1; }\n',
    "js/later.mjs": "export const later = 1;\n",
}


@pytest.fixture
def lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """`lie({name: text})`: these modules are the static files."""

    def written(files: dict[str, str]) -> Path:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        monkeypatch.setattr(finders, "find", lambda name: str(tmp_path / name))
        modules._remembered.cache_clear()
        return tmp_path

    yield written
    modules._remembered.cache_clear()


def test_each_module_runs_once_in_its_order_and_what_comes_later_stays_outside(lie: Any) -> None:
    lie(FILES)
    text = bundle("js/page.mjs")
    assert "import(" in text
    assert [line for line in text.splitlines() if line.startswith("import ")] == [], "nothing is asked for at once"
    assert text.count('console.log("c")') == 1
    assert text.index('console.log("first")') < text.index('console.log("c")') < text.index('console.log("page"')
    assert 'import("./later.mjs")' in text.split("parts_b")[1], "seen from the bundle, not from parts/"
    assert text.endswith("export const { whole } = $js_page;\n")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"js/c.mjs": 'import "./page.mjs";\n'}, "a circle"),
        ({"js/c.mjs": "export default 1;\n"}, "js/c.mjs: a form of import or export that bundles do not know: export default 1;"),
        ({"js/c.mjs": 'import one, { two } from "./first.mjs";\n'}, "that bundles do not know: import one"),
        ({"js/later.mjs": 'import "./c.mjs";\n'}, "js/later.mjs: comes later into the bundle js/page.mjs, and would load js/c.mjs"),
    ],
)  # fmt: skip
def test_what_would_not_be_the_same_is_refused(lie: Any, changed: dict[str, str], told: str) -> None:
    lie(FILES | changed)
    with pytest.raises(ValueError, match=r"circle|bundle") as refused:
        bundle("js/page.mjs")
    assert told in str(refused.value)


def test_kinds_of_questions_share_nothing_with_the_page_that_loads_them() -> None:
    page = {"js/bench.mjs", *modules.reached_from(["js/bench.mjs"])}
    kinds = [f"js/questions/{path.name}" for path in (settings.BASE_DIR / "static/js/questions").glob("*.mjs")]
    assert len(kinds) > 10
    assert page.isdisjoint([*kinds, *modules.reached_from(kinds)])


def test_collected_the_labeling_page_is_one_module_and_a_kind_is_one(tmp_path: Path, settings: Any) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": "ground.static.ModuleStorage"}}
    call_command("collectstatic", verbosity=0, interactive=False)
    storage = ModuleStorage()
    for name in ("js/bench.mjs", "js/questions/ranking.mjs"):
        assert storage.is_bundled(name)
        assert "\nimport " not in (tmp_path / storage.stored_name(name)).read_text()
    text = (tmp_path / storage.stored_name("js/bench.mjs")).read_text()
    assert f'import("./{Path(storage.stored_name("js/veil.mjs")).name}")' in text, "by its hashed name"
    assert not storage.is_bundled("js/keys.mjs")
