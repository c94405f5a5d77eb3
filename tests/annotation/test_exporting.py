"""Pages of an export that are put together ahead, in a connection of their own."""

import json

import pytest
from django.db import connection

from annotation import exporting
from annotation.exporting import export_lines
from annotation.models import Task
from tests.annotation.server import connections

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.store
def test_pages_follow_each_other_without_gap_or_repeat(cast, make_tasks, monkeypatch):
    monkeypatch.setattr(exporting, "PAGE", 2)
    make_tasks(5)
    pages = [page.splitlines() for page in export_lines(cast.project)]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [json.loads(line)["id"] for page in pages for line in page] == list(
        Task.objects.order_by("pk").values_list("public_id", flat=True)
    )


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite puts one page together after the other")
def test_a_reader_who_goes_away_leaves_no_connection_behind(cast, make_tasks, monkeypatch):
    monkeypatch.setattr(exporting, "PAGE", 1)
    make_tasks(3)
    connection.ensure_connection()
    before = connections()
    lines = export_lines(cast.project)
    next(lines)
    lines.close()
    assert connections() == before
    list(export_lines(cast.project))
    assert connections() == before
