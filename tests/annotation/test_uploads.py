"""Uploads: what is taken, that the same bytes are kept once and whole, who may read them, and in which parts."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from accounts.models import Event
from annotation.media import NotTaken, look_at
from annotation.models import Schema, Task, Upload
from annotation.selectors.uploads import check_uploads
from annotation.services.gold_keys import make_gold
from annotation.services.uploads import folder_of, keep_upload, path_of
from ground.errors import Forbidden, Invalid
from tests.annotation.media_files import AVIF, FLAC, GIF, JPEG, MP3, OGG, VTT, WEBM, WEBP, mp4, png, wav

KINDS = [
    (png(40, 30), "image/png", (40, 30), None),
    (JPEG, "image/jpeg", (30, 20), None),
    (GIF, "image/gif", (5, 6), None),
    (WEBP, "image/webp", (100, 50), None),
    (AVIF, "image/avif", (64, 48), None),
    (MP3, "audio/mpeg", None, None),
    (b"ID3" + bytes(50), "audio/mpeg", None, None),
    (OGG, "audio/ogg", None, None),
    (wav(2.0), "audio/wav", None, 2.0),
    (FLAC, "audio/flac", None, 2.0),
    (mp4(b"M4A "), "audio/mp4", None, 7.0),
    (mp4(), "video/mp4", None, 7.0),
    (WEBM, "video/webm", None, None),
    (VTT, "text/vtt", None, None),
]
REFUSED = [
    b"",
    b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    b"\xef\xbb\xbf  <?xml version='1.0'?><!DOCTYPE svg><SVG onload='x'/>",
    b"<!doctype html><script>alert(1)</script>",
    b"%PDF-1.7",
    b"PK\x03\x04",
    b"BM" + bytes(60),
    b"\x1aE\xdf\xa3\x93B\x82\x88matroska" + bytes(60),
    b"\0\0\0\x18ftypheic" + bytes(30),
    b"RIFF\0\0\0\0AVI " + bytes(30),
    b"\x7fELF" + bytes(30),
    b"\xff\xff\xff\xff",
]


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.UPLOADS = tmp_path / "uploads"


def kept(cast, content=None, name="kettle.png"):
    return keep_upload(actor=cast.mona, blocks=[content or png()], name=name)[0]


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.parametrize(("content", "media_type", "pixels", "seconds"), KINDS, ids=[kind[1] for kind in KINDS])
def test_a_file_is_what_its_bytes_say(content, media_type, pixels, seconds):
    """JPEG: 0x14 = 20 down, 0x1e = 30 across. WebP: 0x63 + 1 = 100 by 0x31 + 1 = 50. FLAC: 88,200 samples at 44,100 = 2 s."""
    media = look_at(io.BytesIO(content))
    assert (media.media_type, media.pixels, media.seconds) == (media_type, pixels, seconds)


@pytest.mark.parametrize("content", REFUSED, ids=[repr(content[:12]) for content in REFUSED])
def test_what_is_no_picture_sound_or_film_is_refused_with_what_to_send_instead(content):
    with pytest.raises(NotTaken) as refusal:
        look_at(io.BytesIO(content))
    assert refusal.value.hint


@given(st.sampled_from([kind[0] for kind in KINDS]), st.data())
@hypothesis_settings(max_examples=300, deadline=None)
def test_no_broken_file_makes_the_server_fail(content, data):
    cut = bytearray(content[: data.draw(st.integers(0, len(content)))])
    for _change in range(data.draw(st.integers(0, 4))):
        if cut:
            cut[data.draw(st.integers(0, min(len(cut), 200) - 1))] = data.draw(st.integers(0, 255))
    with suppress(NotTaken):
        look_at(io.BytesIO(bytes(cut)))


def test_the_reason_for_refusing_svg_is_told(cast, api):
    file = SimpleUploadedFile("a.png", b"<svg/>", content_type="image/png")
    answer = api(cast.mona).post(f"/api/v1/projects/{cast.project.slug}/uploads", {"file": file}, format="multipart")
    assert answer.status_code == 422
    assert "SVG is not taken" in answer.json()["detail"]
    assert "PNG" in answer.json()["hint"]
    assert files_in(folder_of(cast.project)) == []


def test_the_same_bytes_are_the_same_upload_and_another_project_has_its_own(cast, api):
    client, address = api(cast.mona), f"/api/v1/projects/{cast.project.slug}/uploads"
    first = client.post(address, {"file": io.BytesIO(png()), "name": "C:\\photos\\kettle.png"}, format="multipart")
    again = client.post(address, {"file": SimpleUploadedFile("other.gif", png())}, format="multipart")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert (first.json()["name"], first.json()["width"], first.json()["kind"]) == ("kettle.png", 40, "image")
    elsewhere, fresh = keep_upload(actor=cast.mallory, blocks=[png()])
    assert fresh
    assert elsewhere.public_id != first.json()["id"]
    assert len(files_in(folder_of(cast.project))) == 1
    assert Event.objects.filter(project=cast.project, verb="upload.kept").count() == 1


def test_bytes_that_were_lost_come_back_under_the_same_id(cast, client):
    row = kept(cast)
    path_of(row).unlink()
    client.force_login(cast.bob.user)
    assert client.get(f"/p/{cast.project.slug}/uploads/{row.public_id}").status_code == 410
    assert kept(cast) == row
    assert client.get(f"/p/{cast.project.slug}/uploads/{row.public_id}").status_code == 200


def test_each_kind_has_its_limit(cast, api, settings):
    settings.UPLOAD_MOST_BYTES = {**settings.UPLOAD_MOST_BYTES, "image": 100}
    address = f"/api/v1/projects/{cast.project.slug}/uploads"
    answer = api(cast.mona).post(address, {"file": io.BytesIO(png(200, 200))}, format="multipart")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "100 B" in answer.json()["detail"]
    assert keep_upload(actor=cast.mona, blocks=[wav(1.0)])[1], "a sound may be larger"
    settings.UPLOAD_MOST_BYTES = dict.fromkeys(settings.UPLOAD_MOST_BYTES, 100)
    assert api(cast.mona).post(address, {"file": io.BytesIO(bytes(70_000))}, format="multipart").status_code == 413
    assert not Upload.objects.filter(kind="image").exists()


def test_only_managers_send_and_nobody_outside_reads(cast, api, client):
    row = kept(cast)
    address = f"/api/v1/projects/{cast.project.slug}/uploads"
    for actor, status in ((cast.carol, 403), (cast.bob, 403), (cast.mallory, 404)):
        assert api(actor).post(address, {"file": io.BytesIO(GIF)}, format="multipart").status_code == status
    with pytest.raises(Forbidden):
        keep_upload(actor=cast.bob, blocks=[GIF])
    assert api(cast.mona, "read").post(address, {"file": io.BytesIO(GIF)}, format="multipart").status_code == 403
    assert api(cast.carol).get(address).json()["results"][0]["id"] == row.public_id
    assert api(cast.bob).get(f"{address}/{row.public_id}").json()["sha256"] == row.sha256
    assert b"".join(api(cast.bob).get(f"{address}/{row.public_id}/file").streaming_content) == png()
    assert api(cast.mallory).get(f"{address}/{row.public_id}").status_code == 404
    assert api(cast.mona).get(f"{address}/upl_{'0' * 32}").status_code == 404
    page = f"/p/{cast.project.slug}/uploads/{row.public_id}"
    assert client.get(page).status_code == 302
    for actor, status in ((cast.bob, 200), (cast.carol, 200), (cast.mallory, 404)):
        client.force_login(actor.user)
        assert client.get(page).status_code == status
    client.force_login(cast.mallory.user)
    theirs = f"/p/{cast.mallory.project.slug}/uploads/{row.public_id}"
    assert client.get(theirs).status_code == 404, "an id is no way around the project"


def test_a_file_can_be_nothing_but_what_it_is(cast, client):
    row = kept(cast, GIF + b"<script>alert(1)</script>", 'x"\r\nSet-Cookie: a=b.gif')
    client.force_login(cast.bob.user)
    answer = client.get(f"/p/{cast.project.slug}/uploads/{row.public_id}")
    assert answer["Content-Type"] == "image/gif"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer["Content-Disposition"].startswith("inline")
    assert "\n" not in answer["Content-Disposition"]
    assert "Set-Cookie" not in answer


@pytest.mark.parametrize(
    ("asked", "status", "part", "told"),
    [
        ("bytes=0-", 206, slice(0, None), "bytes 0-999/1000"),
        ("bytes=0-0", 206, slice(0, 1), "bytes 0-0/1000"),
        ("bytes=10-19", 206, slice(10, 20), "bytes 10-19/1000"),
        ("bytes=990-5000", 206, slice(990, None), "bytes 990-999/1000"),
        ("bytes=-5", 206, slice(-5, None), "bytes 995-999/1000"),
        ("bytes=-5000", 206, slice(0, None), "bytes 0-999/1000"),
        ("bytes=1000-", 416, None, "bytes */1000"),
        ("bytes=20-10", 416, None, "bytes */1000"),
        ("bytes=-0", 416, None, "bytes */1000"),
        ("bytes=0-1,5-6", 200, slice(0, None), None),
        ("lines=0-1", 200, slice(0, None), None),
        ("bytes=a-b", 200, slice(0, None), None),
    ],
)
def test_a_part_is_answered_with_that_part(cast, client, asked, status, part, told):
    content = WEBM + bytes(range(256)) * 4
    content = content[:1000]
    row = kept(cast, content)
    client.force_login(cast.bob.user)
    answer = client.get(f"/p/{cast.project.slug}/uploads/{row.public_id}", headers={"Range": asked})
    assert (answer.status_code, answer.get("Content-Range")) == (status, told)
    assert answer["Accept-Ranges"] == "bytes"
    if part is not None:
        assert b"".join(answer.streaming_content) == content[part]
        assert int(answer["Content-Length"]) == len(content[part])


def test_a_player_that_asks_for_the_rest_of_a_film_gets_a_piece_at_a_time(cast, client, monkeypatch):
    monkeypatch.setattr("annotation.files.MOST_AT_ONCE", 64)
    row = kept(cast, WEBM + bytes(500))
    client.force_login(cast.bob.user)
    film = b""
    while len(film) < row.bytes:
        answer = client.get(f"/p/{cast.project.slug}/uploads/{row.public_id}", headers={"Range": f"bytes={len(film)}-"})
        piece = b"".join(answer.streaming_content)
        assert 0 < len(piece) <= 64
        film += piece
    assert film == WEBM + bytes(500)


def test_what_a_browser_has_is_not_sent_again(cast, client):
    row = kept(cast)
    client.force_login(cast.bob.user)
    address = f"/p/{cast.project.slug}/uploads/{row.public_id}"
    tag = client.get(address)["ETag"]
    assert client.get(address, headers={"If-None-Match": tag}).status_code == 304
    other = client.get(address, headers={"Range": "bytes=0-1", "If-Range": '"older"'})
    assert other.status_code == 200, "a part of another file would be no use"


WRITER = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings_test"
import django
django.setup()
from pathlib import Path
from annotation.services.uploads import _file_without_a_name, _write
def blocks():
    yield bytes(1_000_000)
    print("half", flush=True)
    sys.stdin.read()
with _file_without_a_name(Path(sys.argv[1])) as stream:
    _write(stream, blocks())
"""


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="the folder can hold files without a name on Linux alone")
def test_a_process_killed_in_the_middle_leaves_no_half_file(tmp_path):
    folder = tmp_path / "half"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=20)
    assert folder.is_dir()
    assert files_in(folder) == []


def test_where_files_need_a_name_from_the_start_what_was_left_goes_a_day_later(cast, monkeypatch):
    real = os.open

    def without_tmpfile(path, flags, *rest, **more):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError("not supported")
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", without_tmpfile)
    folder = folder_of(cast.project)
    folder.mkdir(parents=True)
    old, new = folder / ".old.part", folder / ".new.part"
    for part in (old, new):
        part.write_bytes(b"x")
    os.utime(old, (time.time() - 100_000,) * 2)
    row = kept(cast)
    assert path_of(row).read_bytes() == png()
    assert files_in(folder) == [".new.part", row.sha256]


def media_schema(project, kind="image", **field):
    body = {
        "schema_version": 1,
        "fields": [{"name": "photo", "text": "Photo", "kind": kind, **field}],
        "questions": [
            {
                "name": "shows",
                "kind": "labels",
                "text": "What does it show?",
                "options": [{"value": "kettle", "text": "A kettle"}, {"value": "else", "text": "Something else"}],
            }
        ],
    }
    return Schema.objects.create(project=project, name=f"photos-{kind}", version=1, body=body)


def test_a_line_that_names_no_upload_of_the_project_is_listed_and_stops_no_other(cast, api, settings, tmp_path):
    from jobs.inprocess import run_in_process
    from jobs.models import Job
    from jobs.services import claim

    settings.IMPORTS = tmp_path / "imports"
    schema = media_schema(cast.project)
    here, sound = kept(cast), kept(cast, wav(), "hum.wav")
    theirs = keep_upload(actor=cast.mallory, blocks=[GIF])[0]
    lines = [
        {"data": {"photo": here.public_id}, "external_id": "a"},
        {"data": {"photo": {"upload": here.public_id, "alt": "A kettle"}}, "external_id": "b"},
        {"data": {"photo": theirs.public_id}, "external_id": "c"},
        {"data": {"photo": sound.public_id}, "external_id": "d"},
        {"data": {"photo": "https://example.org/a.png"}, "external_id": "e"},
    ]
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    address = f"/api/v1/projects/{cast.project.slug}/imports?schema={schema.name}"
    started = api(cast.mona).generic("POST", address, body, content_type="application/x-ndjson").json()
    job = claim(job=Job.objects.get(public_id=started["job"]))
    assert job is not None
    run_in_process(job)
    found = api(cast.mona).get(f"/api/v1/projects/{cast.project.slug}/imports/{started['id']}").json()
    assert (found["made"], found["wrong"]) == (2, 3), found
    report = api(cast.mona).get(f"/api/v1/projects/{cast.project.slug}/imports/{started['id']}/errors.jsonl")
    errors = [json.loads(line) for line in report.getvalue().splitlines()]
    assert [error["line"] for error in errors] == [3, 4, 5]
    assert "data.photo: there is no upload" in errors[0]["error"]
    assert "is a sound" in errors[1]["error"]
    assert Task.objects.filter(project=cast.project).count() == 2


def test_gold_names_uploads_that_are_there(cast):
    from tests.annotation.gold import mixed_queue

    queue, schema = mixed_queue(cast.project), media_schema(cast.project)
    answers = {"shows": {"labels": ["kettle"]}}
    with pytest.raises(Invalid, match=r"data\.photo: there is no upload"):
        make_gold(actor=cast.mona, queue=queue, schema=schema, data={"photo": "upl_" + "0" * 32}, answers=answers)
    make_gold(actor=cast.mona, queue=queue, schema=schema, data={"photo": kept(cast).public_id}, answers=answers)


def test_captions_are_uploads_of_captions(cast):
    body = media_schema(cast.project, "video").body
    film, words = kept(cast, WEBM), kept(cast, VTT)
    check_uploads(cast.project, body, {"photo": {"upload": film.public_id, "captions": words.public_id}})
    with pytest.raises(ValueError, match=r"data\.photo\.captions"):
        check_uploads(cast.project, body, {"photo": {"upload": film.public_id, "captions": film.public_id}})


def test_the_page_lists_takes_and_says_what_was_wrong_without_a_script(cast, client):
    address = f"/p/{cast.project.slug}/uploads/"
    client.force_login(cast.mona.user)
    assert "No uploads yet" in client.get(address).content.decode()
    files = [SimpleUploadedFile("kettle.png", png()), SimpleUploadedFile("drawing.svg", b"<svg/>")]
    page = client.post(address, {"file": files}, follow=True).content.decode()
    assert "1 file is here." in page
    assert "drawing.svg: SVG is not taken" in page
    assert Upload.objects.get().public_id in page
    assert "None of this kind." in client.get(f"{address}?kind=video").content.decode()
    client.force_login(cast.carol.user)
    assert "Send files" not in client.get(address).content.decode()
    assert client.post(address, {"file": []}).status_code == 403
    client.force_login(cast.bob.user)
    assert client.get(address).status_code == 403
