"""The house stands: floors, foreign keys, and processes that start lean."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps

ROOT = Path(__file__).resolve().parents[2]
TRAINING_LIBRARIES = {"torch", "trl", "transformers", "deepspeed", "peft", "accelerate", "datasets"}
FLOORS = ["accounts", "jobs", "models_registry", "annotation", "feedback", "training"]
HEAVY = ["torch", "trl", "transformers", "deepspeed", "numpy", "scipy"]


def test_no_foreign_key_points_to_a_higher_floor():
    """String keys slip past import linters, so the model fields themselves are walked."""
    seen = 0
    for model in apps.get_models(include_auto_created=True):
        if model._meta.app_label not in FLOORS:
            continue
        for field in model._meta.get_fields():
            target = getattr(field, "related_model", None)
            if field.auto_created or target is None or target._meta.app_label not in FLOORS:
                continue
            seen += 1
            here, there = FLOORS.index(model._meta.app_label), FLOORS.index(target._meta.app_label)
            assert there <= here, f"{model._meta.label}.{field.name} points up to {target._meta.label}"
    assert seen > 40


def test_every_row_with_user_data_has_a_project():
    """A row either names its project or hangs by a required key on one that does."""
    free = {"User", "Project", "Device", "Outbox", "Beat", "EventSeal"}
    may_be_library = {"Model", "Verdict", "Job", "Event"}
    for label in FLOORS:
        for model in apps.get_app_config(label).get_models():
            if model.__name__ in free:
                continue
            names = {field.name: field for field in model._meta.get_fields() if field.concrete}
            if "project" in names:
                assert not names["project"].null or model.__name__ in may_be_library, model
            else:
                keys = [field for field in names.values() if field.is_relation and not field.null]
                assert keys, f"{model.__name__} hangs on nothing that has a project"


@pytest.mark.parametrize(
    "start",
    [
        "from config.wsgi import application; import config.urls; from django.urls import get_resolver; "
        "get_resolver().url_patterns",
        "from config.celery import app; import django; django.setup(); app.loader.import_default_modules(); "
        "assert 'jobs.wake' in app.tasks",
        "from config.asgi_gateway import application; import config.urls_gateway",
    ],
    ids=["web", "worker", "gateway"],
)
def test_a_process_that_only_serves_imports_no_heavy_library(start, tmp_path):
    program = f"import sys; {start}; print(','.join(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "PLUMBLINE_VAR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_torch_and_its_kin_are_imported_nowhere_but_in_the_engine():
    """Also inside functions, where a linter of modules does not look."""
    found = []
    for path in [
        path for floor in [*FLOORS, "ground", "measures", "config", "demo"] for path in (ROOT / floor).rglob("*.py")
    ]:
        if (ROOT / "training" / "engine") in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            found += [f"{path}: {name}" for name in names if name.split(".")[0] in TRAINING_LIBRARIES]
    assert found == []
