"""Lines of an import, from bytes to tasks about to be made. Pure: knows no database.

`{"data": {…}, "external_id"?, "metadata"?, "overlap"?, "priority"?, "sensitive"?}`. Where the schema's questions need them,
`"prompt"` or `"messages"`, and `"responses": […]`, stand beside the data, or in its place where no field is shown.
"""

import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, BinaryIO

from django.utils.translation import gettext as _

from annotation.questions import Needs, needs
from annotation.questions.fields import check_sensitive
from annotation.schemas import check_data
from annotation.showing import MEDIA, uploads_in
from models_registry.texts import check_json, check_text, shown

LONGEST_LINE = 1024 * 1024
LONGEST_ID = 200
MOST_OVERLAP = 64
MOST_LINES = 4000
MOST_BYTES = 8 * 1024 * 1024
COMMON = ("data", "external_id", "metadata", "overlap", "priority", "sensitive")
HEAD = 200
BOM = b"\xef\xbb\xbf"
MOST_BRACKETS = 8
LONGEST_NUMBER = 300
# What JSON can spell and a database cannot keep: NUL, half a surrogate pair.
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_write = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _refuse_constant(name: str) -> None:
    raise ValueError(_("%s is no number") % name)


def _whole(digits: str) -> int:
    """A whole number, unless it is so large that it could not be compared with others."""
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(_("a number is too large"))
    return int(digits)


_read = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_whole).decode


@dataclass(frozen=True)
class Rules:
    """What an import asks of its lines, and what it gives those that do not say."""

    schema: Mapping[str, Any]
    overlap: int = 1
    priority: int = 5
    batch_id: int | None = None

    @cached_property
    def needs(self) -> Needs:
        """What lines bring beside data."""
        return needs(self.schema)

    @property
    def prompts(self) -> bool:
        """Whether lines may bring a prompt, so that several may share one."""
        return self.needs.prompt or self.needs.opening

    @cached_property
    def shows_media(self) -> bool:
        return any(field.get("kind") in MEDIA for field in self.schema.get("fields", ()))

    @property
    def known(self) -> frozenset[str]:
        prompt = ("messages", "prompt") if self.prompts else ()
        return frozenset((*COMMON, *prompt, *(("responses",) if self.needs.most else ())))


class NewTask:
    """A task about to be made; `data` and `labels` (its metadata) are JSON text. `prompt` is the row of one, if there is any."""

    __slots__ = (
        "batch_id", "data", "external_id", "labels", "metadata", "number", "overlap", "pk", "pool_id", "priority", "prompt",
        "prompt_id", "queue_id", "raw", "responses", "score", "sensitive", "uploads",
    )  # fmt: skip

    def __init__(self, number: int, raw: bytes, row: Mapping[str, Any], rules: Rules) -> None:
        self.number, self.raw = number, raw
        self.batch_id, self.pool_id, self.score = rules.batch_id, 0, None
        self.pk = self.queue_id = 0
        self.prompt_id: int | None = None
        self.prompt: dict[str, Any] | None = None
        self.responses: list[str] = []
        self.external_id = _external_id(row.get("external_id", ""))
        self.metadata: dict[str, Any] = row.get("metadata", {})
        self.priority = _number(row.get("priority", rules.priority), "priority", 0, 9)
        self.overlap = _number(row.get("overlap", rules.overlap), "overlap", 1, MOST_OVERLAP)
        if type(self.metadata) is not dict:
            raise ValueError(_("metadata: needs an object."))
        self.labels = _write(self.metadata) if self.metadata else "{}"
        data = _data(row, rules)
        self.data = _write(data)
        self.sensitive = bool(data.get("sensitive") or rules.schema.get("sensitive"))
        self.uploads = uploads_in(rules.schema.get("fields", ()), data) if rules.shows_media else []
        if rules.prompts:
            self.prompt = _prompt(row, rules.needs)
            self.responses = _responses(row.get("responses"), rules.needs)


@dataclass(frozen=True)
class Wrong:
    number: int
    error: str
    raw: bytes

    def as_line(self) -> str:
        """As it stands in the report of errors."""
        head = self.raw[: 4 * HEAD].decode("utf-8", "replace").strip()[:HEAD]
        return json.dumps({"line": self.number, "error": self.error, "text": head}) + "\n"


@dataclass
class Chunk:
    """Some lines read, from the byte `start` on. `offset` and `number` say where the next chunk begins."""

    start: int
    offset: int
    number: int
    tasks: list[NewTask] = field(default_factory=list)
    wrong: list[Wrong] = field(default_factory=list)


def read_task(number: int, raw: bytes, rules: Rules, known: frozenset[str]) -> NewTask:
    """The task a line asks for. Errors: ValueError, fit to be shown."""
    try:
        return task_of(number, raw, _object(raw), rules, known)
    except RecursionError as error:
        raise ValueError(_("The line is nested too deeply.")) from error


def task_of(number: int, raw: bytes, row: Mapping[str, Any], rules: Rules, known: frozenset[str]) -> NewTask:
    """The task an object asks for, its JSON known to be clean. Errors: ValueError, fit to be shown."""
    if not row.keys() <= known:
        name = sorted(row.keys() - known)[0]
        known_names = ", ".join(sorted(known))
        raise ValueError(_("%(name)s: unknown field. Known: %(known)s.") % {"name": shown(name), "known": known_names})
    return NewTask(number, raw, row, rules)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        row = _read(raw.decode())
    except UnicodeDecodeError as error:
        raise ValueError(_("The line is not UTF-8.")) from error
    except (ValueError, RecursionError) as error:
        raise ValueError(_("The line is not JSON: %s.") % str(error)[:200]) from error
    if type(row) is not dict:
        raise ValueError(_("The line is no JSON object."))
    nested = raw.count(b"{") + raw.count(b"[") > MOST_BRACKETS
    if nested or (b"\\u" in raw and _SUSPECT.search(raw)):
        for name, value in row.items():
            check_json(value, check_text(name, "field"))
    return row


def _external_id(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(_("external_id: needs a text."))
    if len(value) > LONGEST_ID:
        raise ValueError(_("external_id: longer than 200 characters."))
    return value


def _number(value: Any, name: str, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(
            _("%(name)s: needs a whole number from %(least)d to %(most)d.")
            % {"name": name, "least": least, "most": most}
        )
    return value


def _data(row: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    data: Any = row.get("data")
    if data is None and not rules.schema.get("fields"):
        data = {}
    check_data(rules.schema, data)
    if row.get("sensitive"):
        check_sensitive(row["sensitive"], "sensitive")
        data["sensitive"] = row["sensitive"]
    if type(data.setdefault("schema_version", 1)) is not int:
        raise ValueError(_("data.schema_version: needs a whole number."))
    return data


def _prompt(row: Mapping[str, Any], needed: Needs) -> dict[str, Any] | None:
    given = {name: row[name] for name in ("prompt", "messages") if name in row}
    if len(given) > 1 or (needed.prompt and not given):
        raise ValueError(_("Give either prompt or messages."))
    return given or None


def _responses(responses: Any, needed: Needs) -> list[str]:
    if needed.most == 0:
        return []
    if not isinstance(responses, list) or not needed.least <= len(responses) <= needed.most:
        if needed.least == needed.most:
            raise ValueError(_("responses: needs a list of %d texts.") % needed.most)
        told = {"least": needed.least, "most": needed.most}
        raise ValueError(_("responses: needs a list of %(least)d to %(most)d texts.") % told)
    return [check_text(text, f"responses[{place}]") for place, text in enumerate(responses)]


def read_chunk(
    stream: BinaryIO, number: int, rules: Rules, *, most_lines: int = MOST_LINES, most_bytes: int = MOST_BYTES
) -> Chunk:
    """The next lines of the stream; empty at its end. Memory stays flat whatever the file: a line past the limit is let go."""
    known = rules.known
    chunk = Chunk(stream.tell(), stream.tell(), number)
    size = 0
    while chunk.number - number < most_lines and size < most_bytes:
        raw = stream.readline(LONGEST_LINE + 1)
        if not raw:
            break
        size += len(raw)
        chunk.number += 1
        _take(chunk, raw.removeprefix(BOM) if chunk.number == 1 else raw, rules, known)
        if len(raw) > LONGEST_LINE and not raw.endswith(b"\n"):
            _pass_over(stream)
    chunk.offset = stream.tell()
    return chunk


def _take(chunk: Chunk, raw: bytes, rules: Rules, known: frozenset[str]) -> None:
    try:
        if len(raw) > LONGEST_LINE:
            raise ValueError(_("The line is longer than %d bytes.") % LONGEST_LINE)
        if not raw.isspace():
            chunk.tasks.append(read_task(chunk.number, raw, rules, known))
    except ValueError as error:
        chunk.wrong.append(Wrong(chunk.number, str(error), raw))


def _pass_over(stream: BinaryIO) -> None:
    while (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
        pass


def chunks_of(stream: BinaryIO, number: int, rules: Rules, *, most_lines: int = MOST_LINES) -> Iterator[Chunk]:
    """Every chunk from where the stream stands; the next one is read while the caller works on this one."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        ahead = reader.submit(read_chunk, stream, number, rules, most_lines=most_lines)
        while (chunk := ahead.result()).number > number:
            number = chunk.number
            ahead = reader.submit(read_chunk, stream, number, rules, most_lines=most_lines)
            yield chunk
