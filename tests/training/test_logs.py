"""Logs by line: the end, a search over all, numbers that hold, and no harm from what is in them."""

import os
import time
from pathlib import Path

import pytest
from django.urls import reverse

from training import logs
from training.logs import Line, look, stretch


def numbered(found):
    return [(line.number, line.text) for line in found.kept]


def test_the_end_keeps_its_line_numbers_as_it_grows(tmp_path):
    """1,000 lines of 6 bytes and one without an end: 1,001. What comes later finishes it."""
    path = tmp_path / "launcher.log"
    path.write_text("".join(f"l{at:04d}\n" for at in range(1, 1001)) + "half")
    found = look(path)
    assert (found.found, len(found.kept), numbered(found)[-2:]) == (1001, 300, [(1000, "l1000"), (1001, "half")])
    with path.open("a") as stream:
        stream.write(" a line\nnext\n")
    assert numbered(look(path))[-2:] == [(1001, "half a line"), (1002, "next")]
    assert look(path).found == 1002


def test_a_search_sees_the_whole_log_and_reads_only_what_is_new(tmp_path):
    path = tmp_path / "launcher.log"
    path.write_text("Needle one\n" + "hay\n" * 400_000 + "a NEEDLE again\n")
    assert numbered(look(path, "needle")) == [(1, "Needle one"), (400_002, "a NEEDLE again")]
    with path.open("r+b") as stream:  # what was read is not read again: this change stays unseen
        stream.write(b"xxxxxx")
    with path.open("ab") as stream:
        stream.write("ein großer NEEDLE\n".encode())
    assert look(path, "needle").found == 3
    assert numbered(look(path, "GROSSER")) == []
    assert numbered(look(path, "großer")) == [(400_003, "ein großer NEEDLE")]


def test_a_file_that_was_written_anew_is_read_anew(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text("old\n" * 100)
    assert look(path, "old").found == 100
    path.write_text("new\n" * 200)
    assert (look(path, "old").found, look(path, "new").found) == (0, 200)


def test_a_hundred_megabytes_are_searched_within_bounds(tmp_path):
    """Time is looked at loosely, as machines differ; what is kept is not."""
    path = tmp_path / "launcher.log"
    block = b"step 12 loss 0.5123 reward 1.25 and some more words to fill it up\n" * 16_000
    with path.open("wb") as stream:
        while stream.tell() < 100 * 1024**2:
            stream.write(block)
        stream.write(b"the needle\n")
    lines = path.stat().st_size // 66 + 1
    began = time.monotonic()
    for _ in range(20):  # each look goes on where the last one stopped
        found = look(path, "needle")
        if found.complete:
            break
    assert [line.text for line in found.kept] == ["the needle"]
    assert found.kept[0].number == pytest.approx(lines, abs=1)
    assert time.monotonic() - began < 60
    assert len(look(path, "loss").kept) == 300
    assert look(path).kept[-1].text == "the needle"


def test_a_line_without_end_is_bounded(tmp_path):
    path = tmp_path / "launcher.log"
    path.write_bytes(b"first\n" + b"x" * 3_000_000 + b"needle" + b"y" * 3_000_000 + b"\nlast\n")
    found = look(path, "needle")
    [line] = found.kept
    assert (found.found, line.number, "needle" in line.text) == (1, 2, True)
    assert len(line.text) < 2100
    assert numbered(look(path))[-1] == (3, "last")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x1b[31mred\x1b[0m \x1b]0;title\x07done", "red done"),
        (b" 10%|#\r 50%|#####\r100%|##########", "100%|##########"),
        (b"nul \x00 bell \x07 esc \x1b", "nul \u2400 bell \u2407 esc \u241b"),
        (b"bad \xff\xfe utf", "bad \ufffd\ufffd utf"),
        ("turned \u202eround \u2066x\u2069 \u200b".encode(), "turned \ufffdround \ufffdx\ufffd \ufffd"),
        (b"<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_bytes_do_nothing(tmp_path, raw, shown):
    path = tmp_path / "launcher.log"
    path.write_bytes(raw + b"\n")
    assert numbered(look(path)) == [(1, shown)]


def test_a_stretch_goes_on_from_any_line(tmp_path):
    path = tmp_path / "launcher.log"
    path.write_text("".join(f"line {at}\n" for at in range(1, 2001)))
    lines, more = stretch(path, 700, 2)
    assert (lines, more) == ([Line(701, "line 701"), Line(702, "line 702")], True)
    assert stretch(path, 0, 1000, "line 200")[0] == [Line(200, "line 200"), Line(2000, "line 2000")]
    assert stretch(path, 1999, 10) == ([Line(2000, "line 2000")], False)


@pytest.fixture
def run(start, base, make_snapshot):
    run = start("dpo", base=base, snapshot=make_snapshot(preference_train=3))
    folder = Path(run.folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "launcher.log").write_bytes(b"first\n<b>\x1b[1mbold</b>\nlast\n")
    (folder / "rank-1.log").write_text("of rank 1\n")
    (folder / "events.jsonl").write_text('{"seq": 1}\n')
    (folder / "spec.json").write_text("{}")
    (folder / "stolen.log").symlink_to("/etc/passwd")
    return run


@pytest.mark.django_db
def test_the_page_shows_searches_and_hands_out_each_log(cast, run, client):
    client.force_login(cast.mona.user)
    names = [cast.project.slug, run.public_id]
    page = client.get(reverse("run", args=names)).content.decode()
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert '<span class="ln" data-n="3">last</span>' in page
    assert "stolen" not in page
    fragment = client.get(
        reverse("run-log", args=names), {"file": "rank-1.log", "q": "RANK"}, headers={"HX-Request": "true"}
    ).content.decode()
    assert "1 line holds it." in fragment
    assert "of rank 1" in fragment
    got = client.get(reverse("run-log-file", args=names))
    assert b"".join(got.streaming_content) == b"first\n<b>\x1b[1mbold</b>\nlast\n"
    assert got["Content-Disposition"] == f'attachment; filename="run-{run.number}-launcher.log"'
    assert got["X-Content-Type-Options"] == "nosniff"
    for name in ("stolen.log", "../spec.json", "spec.json", "/etc/passwd", "", "x\x00"):
        refused = client.get(reverse("run-log-file", args=names), {"file": name or "none"})
        assert refused.status_code == 404, name
        assert client.get(reverse("run-log", args=names), {"file": name, "q": "\x00"}).status_code in (200, 286)


@pytest.mark.django_db
def test_lines_by_api(cast, run, api):
    path = f"/api/v1/projects/{cast.project.slug}/runs/{run.public_id}/log"
    asked = api(cast.mona).get(f"{path}/lines", {"q": "ST", "limit": 1}).json()
    assert asked["results"] == [{"number": 3, "text": "last"}]
    assert asked["files"] == ["launcher.log", "rank-1.log", "events.jsonl"]
    page = api(cast.mona).get(f"{path}/lines", {"after": 1, "limit": 1}).json()
    assert (page["results"][0]["number"], page["more"]) == (2, True)
    assert api(cast.mona).get(f"{path}/file", {"file": "rank-1.log"}).getvalue() == b"of rank 1\n"
    assert api(cast.mona).get(f"{path}/lines", {"file": "spec.json"}).status_code == 404
    assert api(cast.mona).get(f"{path}/lines", {"limit": 0}).status_code == 400
    assert api(cast.mallory).get(f"{path}/lines").status_code == 404


@pytest.mark.django_db
def test_a_run_without_a_folder_has_an_empty_log(cast, start, base, make_snapshot, client):
    run = start("dpo", base=base, snapshot=make_snapshot(preference_train=3))
    assert not os.path.exists(run.folder) or logs.files_of(run) == []
    client.force_login(cast.mona.user)
    assert b"Nothing was printed yet." in client.get(reverse("run", args=[cast.project.slug, run.public_id])).content
