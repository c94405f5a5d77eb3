"""A page asks for everything its modules import, and for nothing that waits for a press."""

from django.template import Context, Template

from ground import modules


def test_what_is_imported_through_others_is_found_and_what_waits_is_not(tmp_path, monkeypatch):
    files = {
        "js/page.mjs": 'import { a } from "./a.mjs";\nimport * as parts from "./parts/b.mjs";\nimport("./later.mjs");\n',
        "js/a.mjs": 'export { c } from "./c.mjs";\nconst words = "from ./never.mjs";\n',
        "js/parts/b.mjs": 'import "../a.mjs";\nimport {\n  d,\n  e,\n} from "../d.mjs";\n',
        "js/c.mjs": 'import { a } from "./a.mjs";\n',
        "js/d.mjs": "export const d = 1;\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(modules.finders, "find", lambda name: str(tmp_path / name))
    modules._remembered.cache_clear()
    assert modules.reached_from(["js/page.mjs"]) == ["js/a.mjs", "js/parts/b.mjs", "js/c.mjs", "js/d.mjs"]
    assert modules.reached_from(["js/page.mjs", "js/a.mjs"]) == ["js/parts/b.mjs", "js/c.mjs", "js/d.mjs"]
    modules._remembered.cache_clear()


def test_the_labeling_page_asks_for_its_modules_at_once():
    modules._remembered.cache_clear()
    page = Template('{% load plumbline %}{% module_scripts names "js/label.mjs" %}')
    html = page.render(Context({"names": ["js/questions/pairwise.mjs"]}))
    assert '<link rel="modulepreload" href="/static/js/questions' in html
    assert html.count("<script") == 2
    for name in ("outbox", "tasks", "keys", "questions/candidates"):
        assert f"js/{name}" in html
    assert "veil" not in html, "read only where a task is veiled"
    assert html.index("modulepreload") < html.index("<script")
