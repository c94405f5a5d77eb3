"""Characters that cannot be seen, or that turn the text around them: shown by name, and kept from acting on their neighbours.

The character itself stays where it stands, alone in an element of its own: the page holds the text, code point by code point.
"""

import re
import unicodedata

from django.utils.html import escape

# Kept as they are: the tag characters that spell the flag of a region, as in the flags of Wales and Scotland.
_FLAG = "\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f"
# Overrides, which show text in another order than it is in; tag characters, which spell words nobody sees; controls.
_IN_TEXT = re.compile(f"({_FLAG})|([\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202d\u202e\U000e0000-\U000e007f])")
# In code nothing may be turned around, joined or hidden.
_IN_CODE = re.compile(
    f"({_FLAG})|([\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\U000e0000-\U000e007f]|(?<![\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])\u200d)"
)
_KANA = re.compile("[\u3041-\u30ff\uff66-\uff9f]")
_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
SAMPLED = 2000


def _named(found: re.Match[str]) -> str:
    if found.group(1):
        return found.group(1)
    character = found.group(2)
    name = unicodedata.name(character, "")
    title = f' title="{name}"' if name else ""
    return f'<span class="ctl" data-u="U+{ord(character):04X}"{title}>{character}</span>'


def escape_text(text: str) -> str:
    """Escaped for HTML. A carriage return is written as a reference: a browser would take it for a line end."""
    return _IN_TEXT.sub(_named, escape(text)).replace("\r", "&#13;")


def escape_code(text: str) -> str:
    """The same, with every character marked that could make code read differently from what it is."""
    return _IN_CODE.sub(_named, escape(text)).replace("\r", "&#13;")


def language_of(text: str) -> str:
    """The language whose shapes and line breaks a text in Han, kana or hangul asks for; empty for any other."""
    head = text[:SAMPLED]
    if not _HAN.search(head) and not _KANA.search(head) and not _HANGUL.search(head):
        return ""
    counts = {"ja": 4 * len(_KANA.findall(head)), "ko": 2 * len(_HANGUL.findall(head)), "zh": len(_HAN.findall(head))}
    return max(counts, key=lambda name: counts[name])
