"""Pasted prompts, line by line."""

from training.prompt_lines import read_lines


def test_plain_lines_are_prompts_and_braces_are_json():
    lines = read_lines('Why?\n\n  {"prompt": "How?", "external_id": "7"}\n')
    assert [(line.number, line.row) for line in lines] == [
        (1, {"prompt": "Why?"}),
        (3, {"prompt": "How?", "external_id": "7"}),
    ]


def test_a_broken_line_keeps_its_number_and_says_why():
    (good, wrong) = read_lines('Why?\n{"prompt": }')
    assert (good.error, wrong.number, wrong.row) == ("", 2, None)
    assert wrong.error.startswith("This is not JSON: ")


def test_every_third_readable_line_is_held_out():
    """Seven lines, the second broken: the 3rd and 6th of the six that are left stand on lines 4 and 7."""
    text = "\n".join(["a", "{", "b", "c", "d", "e", "f"])
    held = [line.number for line in read_lines(text, every_nth=3) if line.row and line.row.get("held_out")]
    assert held == [4, 7]


def test_a_line_that_says_so_itself_is_left_as_it_is():
    (line,) = read_lines('{"prompt": "a", "held_out": false}', every_nth=1)
    assert line.row == {"prompt": "a", "held_out": False}
