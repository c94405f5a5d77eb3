"""Schemas as people write them: JSON and YAML, read within limits, and written back. Pure.

YAML is read as its core schema says: only true, false, null and numbers are no text. So an option called `no` stays `no`.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml
from django.utils.translation import gettext as _

from models_registry.texts import check_json

LONGEST = 1_000_000
DEEPEST = 40
FORMS = ("json", "yaml")
OTHER_LINE_ENDS = set("\r\x85\u2028\u2029")


class _Loader(yaml.SafeLoader):
    """Without aliases, which can make a few lines stand for millions, and without YAML's dates, sexagesimals and yes/no."""

    yaml_implicit_resolvers: dict[str, Any] = {}
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, _("aliases (*name) are not understood; write it out"), mark)
        self.depth += 1
        if self.depth > DEEPEST:
            raise yaml.composer.ComposerError(None, None, _("nested too deeply"), self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _value in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.constructor.ConstructorError(
                    None, None, _("a key must be text; put it in quotes"), key.start_mark
                )
            if key.value in seen:
                told = _("%s stands here twice") % repr(key.value)
                raise yaml.constructor.ConstructorError(None, None, told, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", ["n", "~", ""]),
    ("int", r"-?(?:0|[1-9][0-9]{0,17})", "-0123456789"),
    ("float", r"-?(?:0|[1-9][0-9]*)\.[0-9]+", "-0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def read(text: str, form: str) -> dict[str, Any]:
    """The object that a text stands for. Errors: ValueError that says where it cannot be read, and why."""
    if len(text) > LONGEST:
        raise ValueError(_("The text is longer than %d characters.") % LONGEST)
    try:
        found = (
            _read_yaml(text) if form == "yaml" else json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
        )
    except json.JSONDecodeError as error:
        told = {"line": error.lineno, "column": error.colno, "why": error.msg}
        raise ValueError(_("This is not JSON: line %(line)d, column %(column)d: %(why)s.") % told) from error
    except RecursionError as error:
        raise ValueError(_("It is nested too deeply.")) from error
    if not isinstance(found, dict):
        raise ValueError(_("It needs to be an object with questions."))
    checked: dict[str, Any] = check_json(found, "schema")
    return checked


def _read_yaml(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark, why = error.problem_mark, error.problem or str(error)
        told = {"line": mark.line + 1 if mark else 1, "column": mark.column + 1 if mark else 1, "why": why}
        raise ValueError(_("This is not YAML: line %(line)d, column %(column)d: %(why)s.") % told) from error
    except yaml.YAMLError as error:
        raise ValueError(_("This is not YAML: %s.") % str(error)[:300]) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(_("%s stands twice in one object.") % repr(twice))
    return found


def _refuse(name: str) -> None:
    raise ValueError(_("%s is no number.") % name)


def write(body: Mapping[str, Any], form: str) -> str:
    """The schema as text that `read` reads back as it was."""
    if form == "yaml":
        return yaml.dump(dict(body), Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)
    return json.dumps(body, ensure_ascii=False, indent=2) + "\n"


class _Dumper(yaml.SafeDumper):
    """Writes the same thing twice in full, where YAML would put an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, text: str) -> yaml.ScalarNode:
        """Line ends that are not \\n come back as they were only where they are escaped."""
        style = '"' if OTHER_LINE_ENDS & set(text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)
