"""The simulated annotators' rule, noise and habits, by hand."""

import pytest

from demo.annotators import Temper, decide, felt_difference, positive, strength_of, tempers, vowels
from demo.prompts import prompts

STEADY = Temper(name="steady", noise=0.0, first=0.0, length=0.0, tie=0.05, bar=-0.5)


def scores(**by_text: float):
    return by_text.__getitem__


def choice(temper: Temper, first: str, second: str, rule) -> str:
    return decide(temper, first, second, rule)["preference"]["choice"]


def test_the_felt_difference_is_score_plus_habits_plus_error():
    """0.6 - 0.2 = 0.4; 0.05 for standing first; 0.1 a ten words, 15 - 5 = 10 words more; -0.02 noise: 0.53."""
    temper = Temper(name="x", noise=0.1, first=0.05, length=0.1, tie=0.0, bar=-1.0)
    assert felt_difference(temper, (0.6, 0.2), (15, 5), -0.02) == pytest.approx(0.53)


def test_without_noise_the_higher_score_wins_on_either_side():
    rule = scores(bright=0.8, grey=0.1)
    assert choice(STEADY, "bright", "grey", rule) == "first"
    assert choice(STEADY, "grey", "bright", rule) == "second"


def test_differences_below_the_threshold_are_ties_without_a_strength():
    answer = decide(STEADY, "a", "b", scores(a=0.30, b=0.26))["preference"]
    assert (answer["choice"], answer["strength"]) == ("tie", None)


def test_a_liking_for_the_first_side_turns_a_close_pair_both_ways():
    """0.40 against 0.45 is -0.05; a habit of 0.2 makes it +0.15 from either side."""
    fond = Temper(name="fond", noise=0.0, first=0.2, length=0.0, tie=0.05, bar=-1.0)
    rule = scores(a=0.40, b=0.45)
    assert [choice(fond, "a", "b", rule), choice(fond, "b", "a", rule)] == ["first", "first"]


def test_two_bad_sentences_are_called_both_bad_about_half_the_time():
    answers = [choice(STEADY, f"bad {at}", f"worse {at}", lambda text: -0.8) for at in range(200)]
    assert 70 <= answers.count("neither") <= 130
    assert set(answers) == {"neither", "tie"}


def test_the_same_annotator_says_the_same_about_the_same_texts():
    noisy = Temper(name="noisy", noise=0.5, first=0.0, length=0.0, tie=0.02, bar=-1.0)
    rule = scores(a=0.1, b=0.15)
    assert len({str(decide(noisy, "a", "b", rule)) for _ in range(5)}) == 1


def test_noise_lets_annotators_disagree_about_a_close_pair():
    rule = scores(a=0.1, b=0.15)
    assert {"first", "second"} <= {choice(temper, "a", "b", rule) for temper in tempers(40)}


def test_every_annotator_has_habits_of_its_own():
    crew = tempers(12)
    assert len({(temper.noise, temper.first, temper.length) for temper in crew}) == 12
    assert crew == tempers(12)


@pytest.mark.parametrize(("difference", "strength"), [(0.24, 1), (0.25, 2), (0.59, 2), (0.6, 3)])
def test_strength_grows_with_the_difference(difference, strength):
    assert strength_of(difference) == strength


def test_the_rule_scores_a_happy_sentence_above_a_sad_one():
    assert (
        positive("The lovely garden makes everyone happy.")
        > 0.5
        > -0.3
        > positive("The terrible storm killed the crops.")
    )


def test_the_share_of_vowels_counts_letters_alone():
    """`Oh, no 1!`: o, h, n, o are four letters, two of them vowels."""
    assert vowels("Oh, no 1!") == 0.5
    assert vowels("42") == 0.0


def test_held_out_prompts_speak_of_subjects_that_no_training_prompt_names():
    rows = prompts(104, 64)
    assert len(rows) == 168
    assert len({row["prompt"] for row in rows}) == 168
    subject = [
        row["prompt"].removeprefix("Write one sentence about ").split(" in winter")[0].rstrip(".") for row in rows
    ]
    trained = {text for text, row in zip(subject, rows, strict=True) if not row["held_out"] and " seen " not in text}
    assert trained.isdisjoint({text for text, row in zip(subject, rows, strict=True) if row["held_out"]})
