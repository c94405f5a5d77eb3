"""What was said about a side is stored about the candidate that stood there."""

from annotation.display import to_candidate_order


def answers(choice: str, *flags: str) -> dict[str, dict[str, object]]:
    return {"preference": {"choice": choice, "strength": None, "reason": "", "flags": list(flags)}}


def test_an_answer_in_the_candidates_own_order_stays_as_it_is() -> None:
    said = answers("first", "first:unsafe", "review")
    assert to_candidate_order(said, [0, 1]) == said


def test_a_turned_pair_turns_the_choice_and_the_flags_of_each_side() -> None:
    said = answers("first", "first:unsafe", "second:off_topic", "review", "note:first")
    turned = answers("second", "second:unsafe", "first:off_topic", "review", "note:first")
    assert to_candidate_order(said, [1, 0]) == turned


def test_turning_twice_gives_back_what_was_said() -> None:
    said = answers("neither", "first:unsafe", "review")
    assert to_candidate_order(to_candidate_order(said, [1, 0]), [1, 0]) == said
