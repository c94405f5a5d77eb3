"""Checks no linter has: text outside gettext in templates, physical CSS, inline scripts and styles."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

PHYSICAL = re.compile(
    r"(?<![\w-])((?:margin|padding|border)-(?:left|right|top|bottom)|(?:min-|max-)?(?:width|height)|left|right|top|bottom)\s*:"
)
TEMPLATE_TAGS = re.compile(
    r"{#.*?#}|{%\s*comment.*?endcomment\s*%}|{%\s*blocktrans(?:late)?.*?endblocktrans(?:late)?\s*%}|{%.*?%}|{{.*?}}",
    re.DOTALL,
)
WORD = re.compile(r"[A-Za-z]{2,}")
# A block may hold attributes alone, for the tag that its parent template opens.
ATTRIBUTE = re.compile(r"""(?<=\s)(?:data|aria|hx)-[\w-]+=("[^"]*"|'[^']*')""")
# Names that are the same in every language.
NAMES = {"MLflow", "Plumbline", "sha256", "SHA-256"}
READ_ATTRIBUTES = {"title", "alt", "placeholder", "aria-label"}


def files(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], capture_output=True, text=True, check=True)
    return [Path(line) for line in listed.stdout.splitlines() if Path(line).is_file()]


class BareText(HTMLParser):
    """Collects text a person would read that did not come through a template tag."""

    silent = {"code", "kbd", "pre", "samp", "script", "style"}

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, str]] = []
        self.depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.depth += tag in self.silent
        line = self.getpos()[0]
        names = dict(attrs)
        if "style" in names or any(name.startswith("on") for name in names):
            self.found.append((line, f"<{tag}> carries an inline style or handler"))
        if tag in ("script", "style") and "src" not in names:
            self.found.append((line, f"inline <{tag}>"))
        self.found += [(line, f"{n}={names[n]!r}") for n in READ_ATTRIBUTES & set(names) if WORD.search(names[n] or "")]

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag in self.silent

    def handle_data(self, data: str) -> None:
        read = ATTRIBUTE.sub("", f" {data}")
        if not self.depth and WORD.search(read):
            self.found.append((self.getpos()[0], read.strip()[:60]))


def in_template(path: Path) -> list[str]:
    bare = BareText()
    bare.feed(TEMPLATE_TAGS.sub(lambda tag: "\n" * tag.group().count("\n"), path.read_text()))
    return [
        f"{path}:{line}: text outside gettext: {text}" for line, text in bare.found if text.strip("· ") not in NAMES
    ]


def in_css(path: Path) -> list[str]:
    text = re.sub(
        r"/\*.*?\*/|@(?:media|container)[^{]*",
        lambda found: "\n" * found.group().count("\n"),
        path.read_text(),
        flags=re.DOTALL,
    )
    return [
        f"{path}:{text[: found.start()].count(chr(10)) + 1}: physical property {found.group(1)}; use the logical one"
        for found in PHYSICAL.finditer(text)
    ]


def main() -> int:
    problems = [line for path in files("templates/*.html") for line in in_template(path)]
    problems += [line for path in files("static/*.css") for line in in_css(path)]
    sys.stdout.write("".join(f"{line}\n" for line in problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
