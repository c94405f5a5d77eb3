"""Files that survive a kill."""

from __future__ import annotations

import json
from pathlib import Path

from training.engine.events import EventLog
from training.engine.files import artifact_digest, write_json_once


def test_the_log_goes_on_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.emit("metric", step=1, loss=2.0)
    log.close()
    with path.open("a") as stream:
        stream.write('{"seq": 2, "ki')
    again = EventLog(path)
    again.emit("metric", step=2, loss=float("nan"))
    again.close()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["seq"] for row in rows] == [1, 2]
    assert rows[1]["data"] == {"step": 2, "loss": None}


def test_the_first_writer_of_a_result_wins(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    assert write_json_once(path, {"rank": 1})
    assert not write_json_once(path, {"rank": 0})
    assert json.loads(path.read_text()) == {"rank": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_the_digest_of_an_artifact_covers_names_and_contents(tmp_path: Path) -> None:
    for folder, name, text in (("a", "x", "1"), ("b", "y", "1"), ("c", "x", "2"), ("d", "x", "1")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    digests = {folder: artifact_digest(tmp_path / folder) for folder in "abcd"}
    assert digests["a"] == digests["d"]
    assert len(set(digests.values())) == 3
