"""Files for TensorBoard: records with right checksums that say what counts, read here by arithmetic of our own."""

import struct
from datetime import timedelta
from pathlib import Path

import pytest
from django.urls import reverse

from ground import clock
from jobs.models import JobEvent
from training import event_files

pytestmark = pytest.mark.django_db


def crc32c(data: bytes) -> int:
    """Castagnoli, bit by bit (RFC 3720, appendix B.4): polynomial 0x1EDC6F41, reflected 0x82F63B78."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    value = crc32c(data)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(content: bytes):
    """Length, its checksum, data, their checksum: the record format of TFRecord."""
    while content:
        (length, check) = struct.unpack("<QI", content[:12])
        assert check == masked(content[:8])
        data, content = content[12 : 12 + length], content[12 + length :]
        assert struct.unpack("<I", content[:4])[0] == masked(data)
        yield data
        content = content[4:]


def fields(data: bytes):
    """Protobuf's wire format: (field, value) with varints, 64 bits, lengths and 32 bits."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        kind = key & 7
        size = {0: None, 1: 8, 5: 4}.get(kind, 0)
        if kind == 0:
            yield key >> 3, varint()
            continue
        size = varint() if kind == 2 else size
        yield key >> 3, data[at : at + size]
        at += size


def scalars(content: bytes):
    """(step, tag) → value of every event: step is field 2, summary 5; a value's tag is field 1, its number field 2."""
    found = []
    for record in records(content):
        event = dict(fields(record))
        for _, value in fields(event.get(5, b"")):
            parts = dict(fields(value))
            if 2 in parts:
                found.append((event.get(2, 0), parts[1].decode(), struct.unpack("<f", parts[2])[0]))
    return found


def test_the_checksum_is_that_of_the_standard():
    """RFC 3720: 32 bytes of zeros give 0x8A9136AA."""
    assert crc32c(bytes(32)) == 0x8A9136AA


@pytest.fixture
def resumed(start, base, make_snapshot):
    """Steps 1 to 3, then on from 1 with other numbers."""
    run = start("dpo", base=base, snapshot=make_snapshot(preference_train=3))
    Path(run.folder).mkdir(parents=True, exist_ok=True)
    said = [
        ("metric", 1, {"loss": 0.75, "logps/chosen": -2.0}),
        ("metric", 2, {"loss": 9.0}),
        ("metric", 3, {"loss": 9.0}),
        ("phase", 1, {"name": "resumed", "step": 1}),
        ("metric", 2, {"loss": 0.5, "note": "text", "flag": True}),
        ("sample", 2, {"prompt": "Hi", "text": "<b>*there*</b>", "fixed": True}),
    ]
    for seq, (kind, step, data) in enumerate(said, 1):
        at = clock.now() + timedelta(seconds=seq)
        JobEvent.objects.create(job=run.job, seq=seq, at=at, kind=kind, step=step, data={"step": step, **data})
    return run


def test_steps_that_were_run_again_stand_there_once(resumed):
    content = event_files.write_file(resumed).read_bytes()
    assert scalars(content) == [(1, "loss", 0.75), (1, "logps/chosen", -2.0), (2, "loss", 0.5)]
    first = dict(fields(next(records(content))))
    assert first[3] == b"brain.Event:2"
    assert b"    <b>*there*</b>" in content


def test_it_is_written_anew_and_alone_in_its_folder(resumed):
    event_files.write_file(resumed)
    again = event_files.write_file(resumed)
    assert [path.name for path in again.parent.iterdir()] == [event_files.name_of(resumed)]
    assert len(scalars(again.read_bytes())) == 3


def test_it_is_kept_when_the_run_ends_and_never_in_its_way(resumed):
    from jobs.kinds import get_kind

    folder = Path(resumed.folder) / event_files.FOLDER
    folder.write_text("in the way")
    get_kind("dpo").closed(resumed.job)
    folder.unlink()
    get_kind("dpo").closed(resumed.job)
    assert (folder / event_files.name_of(resumed)).exists()


def test_by_page_and_api(cast, resumed, client, api):
    client.force_login(cast.mona.user)
    got = client.get(reverse("run-tensorboard", args=[cast.project.slug, resumed.public_id]))
    assert "tfevents" in got["Content-Disposition"]
    path = f"/api/v1/projects/{cast.project.slug}/runs/{resumed.public_id}/tensorboard"
    assert api(cast.mona).get(path).getvalue() == b"".join(got.streaming_content)
    assert api(cast.mallory).get(path).status_code == 404


def test_a_run_that_wrote_nothing_says_so(cast, api, start, base, make_snapshot):
    run = start("dpo", base=base, snapshot=make_snapshot(preference_train=3))
    answer = api(cast.mona).get(f"/api/v1/projects/{cast.project.slug}/runs/{run.public_id}/tensorboard")
    assert (answer.status_code, "has written nothing yet" in answer.json()["detail"]) == (404, True)
