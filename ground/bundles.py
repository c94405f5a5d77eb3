"""A module and everything it imports as one file: a page that needs twenty modules asks for one.

It knows the forms our own modules are written in, and refuses any other: imports of a namespace or of names, exports of constants
and functions. So each module becomes a function that runs once, in the order of a browser, and gives back what it exports.
"""

import posixpath
import re
from pathlib import PurePosixPath

from ground.modules import imported_by, joined, reached_from, source_of

_IMPORT = re.compile(
    r"""^import\s+(?:(?:\*\s+as\s+(?P<all>\w+)|\{(?P<names>[^}]*)\})\s+from\s+)?["'](?P<path>\.{1,2}/[^"']+)["'];?[ \t]*$""",
    re.MULTILINE,
)
_EXPORT = re.compile(r"^export\s+(?P<what>(?:async\s+)?function\*?|const|class)\s+(?P<name>\w+)", re.MULTILINE)
_LATER = re.compile(r"""\bimport\(\s*["'](?P<path>\.{1,2}/[^"']+)["']\s*\)""")
_OTHER = re.compile(r"^(?:import\b(?!\()|export\b).*", re.MULTILINE)


def bundle(name: str) -> str:
    """The text of a module by static name with all it imports inside. Modules it imports later stay files of their own.

    Errors: ValueError names the module and the line that is written in no known form, a circle of imports, or a module that is
    inside and would be loaded a second time by one that comes later.
    """
    order = _in_order(name)
    _check_later(name, order)
    parts = [_as_function(module, PurePosixPath(name).parent) for module in order]
    exported = ", ".join(_exports(source_of(name)))
    return "".join([*parts, f"export const {{ {exported} }} = {_variable(name)};\n" if exported else ""])


def _in_order(name: str) -> list[str]:
    """Every module before those that import it, the first import first."""
    order: list[str] = []
    under_way: list[str] = []

    def visit(module: str) -> None:
        if module in under_way:
            raise ValueError(f"{' imports '.join([*under_way[under_way.index(module) :], module])}: a circle")
        if module in order:
            return
        under_way.append(module)
        for target in imported_by(module):
            visit(target)
        order.append(under_way.pop())

    visit(name)
    return order


def _check_later(name: str, inside: list[str]) -> None:
    for module in inside:
        for found in _LATER.finditer(source_of(module)):
            later = joined(PurePosixPath(module).parent, found["path"])
            twice = [one for one in [later, *reached_from([later])] if one in inside]
            if twice:
                raise ValueError(
                    f"{later}: comes later into the bundle {name}, and would load {twice[0]} a second time"
                )


def _as_function(module: str, home: PurePosixPath) -> str:
    folder, text = PurePosixPath(module).parent, source_of(module)

    def taken(found: re.Match[str]) -> str:
        target = _variable(joined(folder, found["path"]))
        if found["all"]:
            return f"const {found['all']} = {target};"
        if found["names"] is None:
            return ""
        names = re.sub(r"\s+as\s+", ": ", found["names"].strip())
        return f"const {{ {names} }} = {target};"

    def moved(found: re.Match[str]) -> str:
        path = posixpath.relpath(joined(folder, found["path"]), home)
        return f'import("./{path}")' if not path.startswith(".") else f'import("{path}")'

    exported = _exports(text)
    text = _LATER.sub(moved, _EXPORT.sub(r"\g<what> \g<name>", _IMPORT.sub(taken, text)))
    if unknown := _OTHER.search(text):
        raise ValueError(f"{module}: a form of import or export that bundles do not know: {unknown[0].strip()[:120]}")
    return f"const {_variable(module)} = (() => {{\n{text}return {{ {', '.join(exported)} }};\n}})();\n"


def _exports(text: str) -> list[str]:
    return [found["name"] for found in _EXPORT.finditer(text)]


def _variable(name: str) -> str:
    return "$" + re.sub(r"\W", "_", name.removesuffix(".mjs"))
