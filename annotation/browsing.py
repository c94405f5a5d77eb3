"""Pages of the data browser: each reads a bounded number of rows, however many tasks there are.

Keyset pagination along an index. Where conditions may pass over many tasks, a page looks at windows of some thousand of them until
it is full or its time is up; then it says how far it looked, and the next page goes on from there.
"""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.models import Project
from annotation.conditions import check_browsed, lookup
from annotation.models import Task
from annotation.searching import among, found_ids, newest_searchable
from ground.errors import Invalid

SORTS = ("-id", "id", "-priority", "priority", "-agreement", "agreement", "-score", "score")
"""Each has an index. Tasks without agreement or score are left out of an order by it."""
PAGE = 50
MOST_PAGE = 200
WINDOW = 500
WIDEST = 16_000
PATIENCE_SECONDS = 0.25
COUNTED = 10_000
COUNT_WINDOW = 20_000
MOST_IDS = 1000
LONGEST_SEARCH = 200
JSON = dict[str, Any]


@dataclass(frozen=True)
class Page:
    """`next` and `previous` are cursors, empty at the ends. `partial`: the time was up before the page was full."""

    tasks: list[Task] = field(default_factory=list)
    next: str = ""
    previous: str = ""
    partial: bool = False


@dataclass(frozen=True)
class Bound:
    """How many tasks a query finds: exactly, more than `number`, or `number` among the newest `among`."""

    number: int
    more: bool = False
    among: int = 0

    def __str__(self) -> str:
        from ground.formats import number

        if self.among:
            return _("%(n)s of the newest %(all)s") % {"n": number(self.number), "all": number(self.among)}
        return (_("more than %s") if self.more else "%s") % number(self.number)


def check_query(query: Any) -> JSON:
    """The query, known to be one: `{all: conditions, search}` or `{ids: [task ids]}`. Errors: Invalid, naming the path."""
    if not isinstance(query, dict):
        raise Invalid(_("query: needs an object with all, search or ids."))
    unknown = sorted(set(query) - {"schema_version", "all", "search", "ids"})
    if unknown or ("ids" in query and set(query) & {"all", "search"}):
        raise Invalid(_("query: holds all and search, or ids alone."))
    if "ids" in query:
        return {"schema_version": 1, "ids": _checked_ids(query["ids"])}
    body = {"schema_version": 1, "all": query.get("all", [])}
    try:
        check_browsed(body)
    except (ValueError, RecursionError) as error:
        raise Invalid(str(error) or _("query: is nested too deeply.")) from error
    return {**body, "search": check_search(query.get("search", ""))}


def conditions_in(text: str) -> Any:
    """Conditions as they stand in an address. Errors: Invalid when it is not JSON."""
    try:
        return json.loads(text or "[]")
    except (ValueError, RecursionError) as error:
        raise Invalid(_("filter: is not JSON.")) from error


def _checked_ids(ids: Any) -> list[str]:
    if not isinstance(ids, list) or not 1 <= len(ids) <= MOST_IDS:
        raise Invalid(_("ids: needs a list of 1 to %d task ids.") % MOST_IDS)
    if not all(isinstance(name, str) and name.isascii() and len(name) <= 60 and "\x00" not in name for name in ids):
        raise Invalid(_("ids: needs task ids."))
    return list(ids)


def check_search(words: Any) -> str:
    if not isinstance(words, str) or len(words) > LONGEST_SEARCH:
        raise Invalid(_("search: needs a text of at most %d characters.") % LONGEST_SEARCH)
    return words.replace("\x00", " ").encode("utf-8", "replace").decode().strip()


def matching(project: Project, query: JSON) -> "QuerySet[Task]":
    """Every task a checked query finds, in no order."""
    tasks: QuerySet[Task] = Task.objects.filter(project=project)
    if "ids" in query:
        return tasks.filter(public_id__in=query["ids"])
    tasks = lookup(tasks, project, query["all"])
    return among(tasks, project, query["search"]) if query.get("search") else tasks


class Browser:
    """One project's tasks under one query and one order. Without `gold`, as reviewers see it, gold does not show."""

    def __init__(self, project: Project, query: JSON, sort: str = "-id", *, gold: bool = True) -> None:
        if sort not in SORTS:
            raise Invalid(_("sort: is one of %s.") % ", ".join(SORTS))
        self.project, self.query, self.sort = project, query, sort
        self.column = sort.removeprefix("-")
        self.descending = sort.startswith("-")
        self.found = found_ids(project, query["search"]) if query.get("search") else None
        self.base = self._base()
        self.wanted = matching(project, self._rest())
        if not gold:
            production = {"purpose": Task.Purpose.PRODUCTION}
            self.base, self.wanted = self.base.filter(**production), self.wanted.filter(**production)

    def _base(self) -> "QuerySet[Task]":
        """Along an index and nothing else: what the query asks for, as far as an index of its own answers it."""
        base: QuerySet[Task] = Task.objects.filter(project=self.project)
        if self.found is not None:
            base = base.filter(pk__in=self.found)
        elif self.query.get("search"):
            base = base.filter(pk__lte=newest_searchable())
        for condition in self.query["all"]:
            if condition["op"] == "eq" and condition["field"] in ("batch", "external_id"):
                base = lookup(base, self.project, [condition])
            if condition["op"] == "eq" and condition.get("value") == "waiting" and condition["field"] == "resolution":
                base = lookup(base, self.project, [condition])
        return base if self.column in ("id", "priority") else base.filter(**{f"{self.column}__isnull": False})

    def _rest(self) -> JSON:
        """The query without its search, where the search has told every id already."""
        return {**self.query, "search": "" if self.found is not None else self.query.get("search", "")}

    @property
    def filtered(self) -> bool:
        return bool(self.query["all"] or self._rest()["search"])

    def page(self, *, after: str = "", before: str = "", size: int = PAGE) -> Page:
        """Tasks behind the cursor `after`, or those that stand before `before`. Errors: Invalid for a cursor of another order."""
        back = bool(before)
        cursor = self._parse(before or after)
        rows, reached = self._take(cursor, size + 1, back)
        tasks, more = rows[:size], len(rows) > size or reached is not None
        end = self._cursor(tasks[-1]) if len(rows) > size else reached
        if back:
            tasks.reverse()
            here = self._cursor(tasks[-1]) if tasks else before
            return Page(tasks, next=here, previous=(end or "") if more else "", partial=reached is not None)
        previous = self._cursor(tasks[0]) if tasks and after else ""
        return Page(tasks, next=(end or "") if more else "", previous=previous, partial=reached is not None)

    def _take(self, cursor: tuple[Any, int] | None, count: int, back: bool) -> tuple[list[Task], str | None]:
        """`count` tasks from the cursor on; and where the looking ended, when the time was up first."""
        rows: list[Task] = []
        until = time.monotonic() + PATIENCE_SECONDS
        size = WINDOW
        while True:
            cursor = self._look(rows, cursor, count, back, size)
            if cursor is None or len(rows) >= count:
                return rows, None
            if time.monotonic() > until:
                return rows, self._spell(*cursor)
            size = min(2 * size, WIDEST)

    def _look(
        self, rows: list[Task], cursor: tuple[Any, int] | None, count: int, back: bool, size: int
    ) -> tuple[Any, int] | None:
        """Add what is wanted among the next `size` tasks; the key of the last one looked at, None at the end of the order."""
        for keys in self._runs(cursor, back):
            if len(rows) >= count:
                return None
            if not self.filtered:
                rows += keys.select_related("queue", "batch", "schema")[: count - len(rows)]
                continue
            window = list(keys.values_list(self.column, "pk")[:size])
            found = self._within(window).order_by(*self._order(back))
            rows += found.select_related("queue", "batch", "schema")[: count - len(rows)]
            if len(window) == size:
                return window[-1]
        return None

    def _runs(self, cursor: tuple[Any, int] | None, back: bool) -> "Iterator[QuerySet[Task]]":
        """Stretches of the order, each along its index: the rest of the cursor's own value, then the others."""
        ordered = self.base.order_by(*self._order(back))
        falling = self.descending is not back
        behind = "lt" if falling else "gt"
        if cursor is None:
            yield ordered
            return
        value, pk = cursor
        if self.column == "id":
            yield ordered.filter(**{f"pk__{behind}": pk})
            return
        yield ordered.filter(**{self.column: value, f"pk__{behind}": pk})
        yield ordered.filter(**{f"{self.column}__{behind}": value})

    def _within(self, window: list[tuple[Any, int]]) -> "QuerySet[Task]":
        """What is wanted of a window. In the order of ids that is a stretch of the index; else its tasks are named one by one,
        since no plan may wander past the window's end."""
        keys = [pk for _value, pk in window]
        if self.column != "id" or not keys:
            return self.wanted.filter(pk__in=keys)
        return self._based().filter(pk__gte=min(keys[0], keys[-1]), pk__lte=max(keys[0], keys[-1]))

    def _order(self, back: bool) -> list[str]:
        sign = "-" if self.descending is not back else ""
        return [f"{sign}pk"] if self.column == "id" else [f"{sign}{self.column}", f"{sign}pk"]

    def _cursor(self, task: Task) -> str:
        return self._spell(getattr(task, self.column), task.pk)

    def _spell(self, value: Any, pk: int) -> str:
        return str(pk) if self.column == "id" else f"{value!r}_{pk}"

    def _parse(self, cursor: str) -> tuple[Any, int] | None:
        if not cursor:
            return None
        value, _line, pk = cursor.rpartition("_")
        try:
            key = int(pk) if len(pk) < 19 else 0
            spelled = float(value) if self.column != "id" else 0.0
        except ValueError as error:
            raise Invalid(_("cursor: is none of this order.")) from error
        if (
            key < 1
            or (value and self.column == "id")
            or not math.isfinite(spelled)
            or (self.column == "priority" and not 0 <= spelled <= 9)
        ):
            raise Invalid(_("cursor: is none of this order."))
        return (int(spelled) if self.column == "priority" else spelled), key

    def count(self) -> Bound:
        """How many there are, at a bounded cost."""
        if not self.filtered:
            number = self.base.order_by()[: COUNTED + 1].count()
            return Bound(min(number, COUNTED), more=number > COUNTED)
        newest = self.base.order_by("-pk").values_list("pk", flat=True)
        oldest = next(iter(newest[COUNT_WINDOW - 1 : COUNT_WINDOW]), None)
        looked_at = self._based() if oldest is None else self._based().filter(pk__gte=oldest)
        number = looked_at[: COUNTED + 1].count()
        if number > COUNTED:
            return Bound(COUNTED, more=True)
        more = oldest is not None and self.base.filter(pk__lt=oldest).exists()
        return Bound(number, among=COUNT_WINDOW if more else 0)

    def _based(self) -> "QuerySet[Task]":
        """What is wanted and stands in this order."""
        named = self.wanted if self.found is None else self.wanted.filter(pk__in=self.found)
        return named if self.column in ("id", "priority") else named.filter(**{f"{self.column}__isnull": False})
