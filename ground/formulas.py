"""Where markdown holds formulas: `$…$`, `$$…$$`, `\\(…\\)` and `\\[…\\]`, within a line or as blocks of their own."""

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

from ground.mathematics import looks_like_maths

# How each opens and closes, and whether it stands on a line of its own.
_FENCES = (("$$", "$$", True), ("\\[", "\\]", True), ("\\(", "\\)", False))
MOST_LINES = 60


def formulas(parser: MarkdownIt) -> None:
    """Tokens `formula` (within a line) and `formula_block`; `content` is the TeX, `info` says display."""
    parser.inline.ruler.before("escape", "formula", _inline)
    parser.inline.add_terminator_char("$")
    parser.block.ruler.before(
        "fence", "formula_block", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )


def _inline(state: StateInline, silent: bool) -> bool:
    for opening, closing, display in _FENCES:
        if state.src.startswith(opening, state.pos):
            end = state.src.find(closing, state.pos + len(opening), state.posMax)
            source = state.src[state.pos + len(opening) : end] if end > 0 else ""
            return bool(source.strip()) and _push(state, silent, source, opening, end + len(closing), display)
    if state.src[state.pos] != "$":
        return False
    return _dollars(state, silent)


def _dollars(state: StateInline, silent: bool) -> bool:
    """`$x$`: nothing of a word before it, no digit behind it, and what is between reads like a formula."""
    before = state.src[state.pos - 1] if state.pos else ""
    end = _closing_dollar(state)
    after = state.src[end + 1 : end + 2]
    if end < 0 or before.isalnum() or before == "$" or after.isdigit():
        return False
    source = state.src[state.pos + 1 : end]
    return looks_like_maths(source, glued=after.isalpha()) and _push(state, silent, source, "$", end + 1, False)


def _closing_dollar(state: StateInline) -> int:
    end = state.pos
    while (end := state.src.find("$", end + 1, state.posMax)) > 0:
        if state.src[end - 1] != "\\":
            return end
    return -1


def _push(state: StateInline, silent: bool, source: str, opening: str, end: int, display: bool) -> bool:
    if not silent:
        token = state.push("formula", "", 0)
        token.content, token.markup, token.info = source, opening, "display" if display else ""
        token.meta = {"source": state.src[state.pos : end]}
    state.pos = end
    return True


def _block(state: StateBlock, start: int, last: int, silent: bool) -> bool:
    """A formula that begins a line, over as many lines as it takes. Else a `-` or `=` in it would begin a list or a heading."""
    if state.is_code_block(start):
        return False
    at, end = state.bMarks[start] + state.tShift[start], state.eMarks[start]
    found = next((fence for fence in _FENCES if fence[2] and state.src.startswith(fence[0], at)), None)
    if found is None:
        return False
    opening, closing, _display = found
    lines = [state.src[at + len(opening) : end]]
    line = start
    while not lines[-1].rstrip().endswith(closing):
        line += 1
        if line >= last or line - start > MOST_LINES or state.isEmpty(line) or state.sCount[line] < state.blkIndent:
            return False
        lines.append(state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]])
    source = "\n".join(lines).rstrip()[: -len(closing)]
    if closing in source or not source.strip():
        return False
    if not silent:
        token = state.push("formula_block", "", 0)
        token.content, token.markup, token.info, token.block = source, opening, "display", True
        token.meta = {"source": opening + source + closing}
        token.map = [start, line + 1]
    state.line = line + 1
    return True
