"""Which key does what, and what a person may make of it. Pure.

Every action has the key it comes with; that key is also its name, on the page (`data-key`) and in what is stored. A person's map
says only what differs: `{"s": "x"}` puts Skip on x. Two actions may trade keys; two on one key is a conflict, told by name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

Text = str | Promise


@dataclass(frozen=True)
class Action:
    """`name` is the key it comes with."""

    name: str
    label: Text


@dataclass(frozen=True)
class Preset:
    name: str
    label: Text
    keys: Mapping[str, str]


GROUPS: tuple[tuple[Text, tuple[Action, ...]], ...] = (
    (
        gettext_lazy("Every task"),
        (
            Action("e", gettext_lazy("Submit")),
            Action("z", gettext_lazy("Take back the last answer or skip")),
            Action("s", gettext_lazy("Skip")),
            Action("r", gettext_lazy("Write a reason")),
            Action("f", gettext_lazy("Flag for review")),
            Action("g", gettext_lazy("Guidelines")),
            Action("q", gettext_lazy("Ask the manager")),
            Action("j", gettext_lazy("Next question, aspect or row")),
            Action("k", gettext_lazy("Previous question, aspect or row")),
            Action("?", gettext_lazy("The map of keys")),
        ),
    ),
    (
        gettext_lazy("Digits: sides, ranks, ratings, labels"),
        tuple(Action(digit, format_lazy(gettext_lazy("Digit {digit}"), digit=digit)) for digit in "1234567890"),
    ),
    (
        gettext_lazy("Comparing and ranking"),
        (
            Action("d", gettext_lazy("Mark what differs")),
            Action("=", gettext_lazy("Tie")),
            Action("x", format_lazy("{}; {}", gettext_lazy("All bad"), gettext_lazy("Stop writing"))),
            Action("shift+1", gettext_lazy("Flags of the first answer")),
            Action("shift+3", gettext_lazy("Flags of the second answer")),
        ),
    ),
    (
        gettext_lazy("Texts, spans and notes"),
        (
            Action("c", gettext_lazy("Write or edit")),
            Action("t", gettext_lazy("Go to the text")),
            Action("u", gettext_lazy("Source of every text")),
            Action("n", gettext_lazy("Next span")),
            Action("p", gettext_lazy("Previous span")),
            Action("w", gettext_lazy("By character")),
            Action("o", gettext_lazy("The other end of the selection")),
            Action("m", gettext_lazy("Note to a rating")),
            Action("v", gettext_lazy("Preview")),
            Action("a", gettext_lazy("Add a turn")),
            Action("/", gettext_lazy("Search, where there is a search")),
        ),
    ),
)
ACTIONS = {action.name: action for _title, actions in GROUPS for action in actions}

# One hand for comparing and ranking. The other hand's keys come over; what must make room for them takes their place.
PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "left",
            gettext_lazy("Left hand"),
            {"j": "w", "w": "j", "k": "a", "a": "k", "n": "v", "v": "n", "p": "b", "m": "shift+2", "=": "y"},
        ),
        Preset(
            "right",
            gettext_lazy("Right hand"),
            {
                "1": "7",
                "2": "8",
                "3": "9",
                "4": "0",
                "7": "1",
                "8": "2",
                "9": "3",
                "0": "4",
                "e": "i",
                "z": "u",
                "s": "o",
                "r": "y",
                "f": "h",
                "g": "l",
                "q": "b",
                "d": "-",
                "c": ",",
                "t": ".",
                "u": "v",
                "o": "s",
                "v": "z",
                "x": "shift+8",
                "shift+1": "shift+7",
                "shift+3": "shift+9",
            },
        ),
        Preset("pad", gettext_lazy("Numeric pad"), {"z": "*", "s": "-", "d": "+", "=": "."}),
    )
}

_QUICK_FIND = ("/", "'")
_CHORD = re.compile(r"shift\+[0-9]")


def no_changes() -> dict[str, Any]:
    return {"schema_version": 1, "off": False, "map": {}}


def check_keys(value: Mapping[str, Any]) -> dict[str, Any]:
    """A person's keys, known to work: `{schema_version: 1, off: bool, map: {action: key}}`. Raises ValueError with the path."""
    unknown = sorted(set(value) - {"schema_version", "off", "map"})
    if unknown:
        raise ValueError(_("keys.%(name)s: unknown; known are off and map") % {"name": unknown[0]})
    off, chosen = value.get("off", False), value.get("map", {})
    if not isinstance(off, bool):
        raise ValueError(_("keys.off: is true or false"))
    if not isinstance(chosen, Mapping):
        raise ValueError(_("keys.map: needs an object of action and key"))
    for name, key in chosen.items():
        _check_one(name, key)
    _refuse_conflicts(chosen)
    return {"schema_version": 1, "off": off, "map": {name: key for name, key in chosen.items() if name != key}}


def _check_one(name: str, key: Any) -> None:
    if name not in ACTIONS:
        raise ValueError(
            _("keys.map.%(name)s: no such action; the actions are %(known)s")
            % {"name": str(name)[:20], "known": " ".join(ACTIONS)}
        )
    wrong = why_not(name, key)
    if wrong:
        raise ValueError(f"keys.map.{name}: {wrong}")


def why_not(name: str, key: Any) -> str:
    """Why an action cannot have this key; empty when it can. Keys that browsers and screen readers use stay theirs."""
    if not isinstance(key, str) or not key:
        return _("needs a key")
    if _CHORD.fullmatch(key):
        return ""
    if len(key) != 1 or not key.isprintable() or key.isspace():
        return _(
            "is one character that a key writes, or shift and a digit; Enter, Esc, Tab, Space, arrows, F1 to F12 and everything "
            "with Ctrl, Alt or Meta belong to the browser and to screen readers"
        )
    if key in _QUICK_FIND and name != key:
        return _("%(key)s opens the search of some browsers; choose another key") % {"key": key}
    if key != key.lower():
        return _("write letters small: %(key)s") % {"key": key.lower()}
    return ""


def _refuse_conflicts(chosen: Mapping[str, str]) -> None:
    taken: dict[str, Action] = {}
    for name, action in ACTIONS.items():
        key = chosen.get(name, name)
        other = taken.setdefault(key, action)
        if other is not action:
            moved = action if name in chosen else other
            stays = other if moved is action else action
            raise ValueError(
                _("keys.map.%(name)s: %(key)s is the key of “%(other)s” too; give one of the two another key")
                % {"name": moved.name, "key": key, "other": stays.label}
            )


def listed(keys: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every action by group, with the key it has now."""
    chosen = keys.get("map", {})
    return [
        {
            "title": title,
            "actions": [
                {
                    "name": action.name,
                    "label": action.label,
                    "key": chosen.get(action.name, action.name),
                    "changed": action.name in chosen,
                }
                for action in actions
            ],
        }
        for title, actions in GROUPS
    ]
