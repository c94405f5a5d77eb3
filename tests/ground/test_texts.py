"""Code in colours, formulas, and characters nobody sees: the text stays what it is, and nothing in it can act."""

import itertools
import subprocess
import sys
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.characters import escape_code, escape_text, language_of
from ground.highlighting import CLASSES, LANGUAGES, LONGEST, MOST_SECONDS, highlight
from ground.mathematics import to_mathml
from ground.rendering import render_code, render_json, render_markdown, render_plain
from tests.ground.effort import effort, effort_of_prose
from tests.ground.test_rendering import Inventory

MATHML = {
    *("math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msub", "msup", "msubsup"),
    *("mover", "munder", "munderover", "mmultiscripts", "mprescripts", "mtable", "mtr", "mtd", "mstyle", "mpadded"),
    *("mphantom", "menclose"),
}
RLO, ZWSP, TAG_A = "‮", "​", "\U000e0061"


def formulas_in(text: str) -> list[str | None]:
    return [given.get("alttext") for given in Inventory(render_markdown(text)).of("math")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("so $x^2$ it is", ["x^2"]),
        ("$AB$ is longer than $BC$", ["AB", "BC"]),
        ("$$E = mc^2$$", ["E = mc^2"]),
        (r"\(a < b\) and \[c > d\]", ["a < b", "c > d"]),
        ("$$\nx\n- y\n= z\n$$", ["\nx\n- y\n= z\n"]),
        ("\\[\n\\begin{aligned}\na &= b \\\\\nc &= d\n\\end{aligned}\n\\]", None),
        ("- a list with $n$ in it", ["n"]),
        ("| $a$ | b |\n|---|---|\n| $c$ | d |", ["a", "c"]),
        ("($x$)", ["x"]),
        (r"$\$5$", [r"\$5"]),
        ("It costs $5 and $10.", []),
        ("It costs $5, not $10", []),
        ("between $5 and 10$ or so", []),
        ("US$5 and US$6", []),
        ("$5-$10", []),
        ("$1,000 to $2,000", []),
        ("$HOME/bin:$PATH", []),
        ("`$x$` is code", []),
        ("```\n$x$\n```", []),
        (r"\$x\$", []),
        ("a $ b $ c", []),
        ("100$ and 200$", []),
        ("$ x$ and $x $", []),
        ("$$ $$", []),
        ("only one $ here", []),
        ("$5 for you\n\nand $6 for me", []),
    ],
)
def test_a_formula_is_one_and_a_price_is_none(text, found):
    seen = formulas_in(text)
    assert (len(seen) == 1) if found is None else (seen == found)


@pytest.mark.parametrize(
    "text", [r"$\frac{1$", r"$\foo{x}$", r"$a & b$", r"\(\unknown\)", "$$\n\\frac{\n$$", r"$\def\a{\a\a}\a$"]
)
def test_a_broken_formula_shows_its_source(text):
    page = Inventory(render_markdown(text))
    assert page.of("math") == []
    assert text in page.text


@pytest.mark.parametrize(
    "source",
    [
        r"\text{<script>alert(1)</script>}",
        r"\text{</mtext></math><img src=x onerror=alert(1)>}",
        r"\href{javascript:alert(1)}{x}",
        r"\color{red}{x}",
        r"\style{position:fixed}{x}",
        r"\class{toast}{x}",
        r"\unicode{x3c}script\unicode{x3e}",
        r"\textbf{<b onclick=alert(1)>}",
        r"\begin{array}{c|c}a&b\end{array}",
        r"\boxed{x}\cancel{y}",
        r"\text{&lt;svg onload=alert(1)&gt;}",
        r"\hspace{9999999em}x",
        "x \\mathrm{<math><style><img src=x onerror=alert(1)>}",
    ],
)
def test_a_hostile_formula_is_mathml_of_listed_parts_alone(source):
    for text in (f"${source}$", f"$${source}$$", f"\\({source}\\)"):
        for tag, has in Inventory(render_markdown(text)).elements:
            assert tag in MATHML | {"p", "span", "code"}, (tag, has)
            assert not any(name.startswith("on") or name in ("style", "href", "src", "id") for name in has), has
            if tag == "mspace":
                assert len(has.get("width") or "") < 14


def test_a_text_cannot_imitate_the_place_of_a_formula():
    text = '<span class="formula">0</span> $x$ [a](https://example.org "<span class=\\"formula\\">0</span>")'
    page = Inventory(render_markdown(text))
    assert len(page.of("math")) == 1
    assert '<span class="formula">0</span>' in page.text


@given(st.lists(st.sampled_from([*r"${}\()[]^_&<>", r"\frac", r"\text{", r"\left(", "x", " ", "\n", "5", "<b>", '"'])))
@settings(max_examples=200, deadline=None)
def test_no_mixture_of_tex_gets_out_of_its_element(pieces):
    html = str(render_markdown("".join(pieces)))
    for tag, has in Inventory(html).elements:
        assert tag in MATHML | {
            "p",
            "span",
            "code",
            "br",
            "a",
            "blockquote",
            "hr",
            "pre",
            "ul",
            "li",
            "em",
            "strong",
        }, tag
        assert not any(name.startswith("on") or name == "style" for name in has)


@pytest.mark.parametrize(
    "text",
    [
        "$x$ " * 7_000,
        "$" * 30_000,
        r"\(" * 15_000,
        r"\[" * 15_000,
        "$$" * 15_000,
        r"\(x\)" * 5_000,
        "$$\n" * 10_000,
        "$x " * 10_000,
    ],
    ids=lambda text: text[:6],
)
def test_a_text_full_of_dollars_is_done_in_a_moment(text):
    assert effort(lambda: render_markdown(text)) < 50 * effort_of_prose()


@pytest.mark.parametrize(
    "source", ["{" * 100_000, "\\sqrt " * 20_000 + "x", "{" * 900 + "}" * 900, "\\left(" * 300, "x^{" * 600]
)
def test_a_deep_formula_does_not_take_the_server_down(source):
    """The converter's own stack ends at some thousands of levels, and the process with it."""
    assert to_mathml(source, display=False) is None


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_code_in_colours_is_the_code(language):
    hostile = "<script>alert('x')</script>\n\t\"'`${a}#{b}/*/**/ // -- \r\n" + RLO + "café \U0001f468‍\U0001f469\n\n"
    page = Inventory(highlight(hostile, language))
    assert page.text == hostile
    assert {tag for tag, _given in page.elements} <= {"span"}
    for _tag, has in page.elements:
        assert has["class"] in CLASSES | {"ctl"}
        assert set(has) <= {"class", "data-u", "title"}


@given(st.text(), st.sampled_from(sorted(LANGUAGES)))
@settings(max_examples=100, deadline=None)
def test_no_code_loses_or_gains_a_character(text, language):
    assert Inventory(render_code(text, language)).text == text


SLOW = [
    "(" * 20_000,
    "/*" * 10_000,
    "'\\" * 10_000,
    "<a " * 6_000,
    "{" * 20_000,
    "\n" * 20_000,
    "$" * 20_000,
    "x=" * 10_000,
]
SLOW += ["\n \n\t" * 5_000, "\\" * 20_000, "a(b" * 6_000, "#if\n" * 5_000]


@pytest.mark.parametrize(
    "language", ["python", "javascript", "c", "cpp", "c#", "html", "bash", "sql", "yaml", "markdown"]
)
def test_no_language_takes_long_over_hostile_code(language):
    """20,000 line ends kept the lexer for C busy for 20 s before runs were left in one colour."""
    usual = effort(lambda: highlight(("def f(x):\n    return x + 1  # go\n" * 400)[:LONGEST], "python"), repeat=3)
    most = max(50 * usual, 2 * MOST_SECONDS)
    for text in SLOW:
        assert effort(partial(highlight, text[:LONGEST], language)) < most, (language, text[:6])


def test_time_runs_out_also_over_code_of_a_single_class(monkeypatch):
    """All of this is one class, so no run ends: 2.2 s of JavaScript went by before anybody looked at the clock again."""
    readings = itertools.count(step=0.1)
    monkeypatch.setattr("ground.highlighting.time.thread_time", lambda: next(readings))
    highlight("'\\" * 1_000, "javascript")
    assert MOST_SECONDS < next(readings) < MOST_SECONDS + 0.5


def test_code_of_no_known_language_or_of_great_length_stays_in_one_colour():
    assert Inventory(highlight("x = 1", "klingon")).elements == []
    assert Inventory(highlight("x = 1\n" * 4_000, "python")).elements == []
    assert highlight("<b>", "../../etc") == "&lt;b&gt;"


def test_fenced_code_is_coloured_through_the_cleaner():
    html = render_markdown("```python\nclass A: pass\n```")
    assert '<span class="k">' in html
    assert Inventory(html).of("pre") == [{"tabindex": "0"}]


def test_characters_that_turn_or_hide_text_are_named_alone_and_stay():
    html = escape_text(f"a{RLO}b{TAG_A}")
    assert html.count('class="ctl"') == 2
    assert 'data-u="U+202E" title="RIGHT-TO-LEFT OVERRIDE"' in html
    assert Inventory(html).text == f"a{RLO}b{TAG_A}"
    assert 'data-u="U+200B"' in escape_code(f"a{ZWSP}b")
    wales = "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"
    assert escape_text(wales) == wales, "the flag of Wales is spelt with tags"
    family = "\U0001f468‍\U0001f469‍\U0001f467"
    assert escape_code(family) == family
    arabic = "مرحبا‏ (a)"
    assert escape_text(arabic) == arabic, "marks that Arabic and Hebrew are written with act as they should"


def test_an_override_in_markdown_cannot_turn_what_follows():
    html = render_markdown(f"safe {RLO}[txt.exe](https://example.org)")
    assert f'title="RIGHT-TO-LEFT OVERRIDE">{RLO}</span>' in html


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@settings(max_examples=200, deadline=None)
def test_long_plain_text_in_parts_is_the_text(text):
    text = (text + "\n") * (50_000 // (len(text) + 1) + 1)
    assert Inventory(render_plain(text)).text == text


def test_a_megabyte_is_rendered_at_once_and_in_parts():
    text = "A line of a very long report, with nothing special in it.\n" * 18_000
    assert effort(lambda: render_plain(text)) < 50 * effort_of_prose()
    assert len(Inventory(render_plain(text)).of("div")) > 50


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("これは日本語です。", "ja"),
        ("漢字かな交じり文", "ja"),
        ("这是中文文本", "zh"),
        ("한국어 문장입니다 漢字", "ko"),
        ("Plain English", ""),
        ("مرحبا", ""),
        ("Привет", ""),
        ("", ""),
    ],
)
def test_the_language_of_shared_characters_is_told_by_the_script_beside_them(text, language):
    assert language_of(text) == language


def test_json_is_laid_out_and_what_is_none_stays():
    assert Inventory(render_json('{"a": [1, "<b>"]}')).text == '{\n  "a": [\n    1,\n    "<b>"\n  ]\n}'
    assert Inventory(render_json("not {json")).text == "not {json"
    assert Inventory(render_json({"é": None})).text == '{\n  "é": null\n}'
    assert Inventory(render_json("[" * 100_000)).text == "[" * 100_000


def test_libraries_of_colours_and_formulas_wait_until_they_are_needed():
    program = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings_test'; import django; django.setup();"
        "from ground.rendering import render_markdown; import config.urls; from django.urls import get_resolver;"
        "get_resolver().url_patterns; render_markdown('**a** costs $5');"
        "print([name for name in ('pygments.lexers.python', 'math_core') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr
