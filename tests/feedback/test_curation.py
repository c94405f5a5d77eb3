"""Votes counted into pairs, examples and splits: hand arithmetic."""

import itertools
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedback.curation import examples_from, pairs_from, split_of, together
from feedback.data import Judgement, Pair, Shown, Thumb

TEXTS = {1: "one", 2: "two", 3: "three", 4: "one"}


def said(outcome, actor, *, first=1, second=2, prompt=9):
    source = f"ann_{actor}_{first}_{second}_{outcome}"
    return Judgement(source=source, prompt=prompt, first=first, second=second, outcome=outcome, actor=actor)


def outcomes(*names):
    return pairs_from([said(name, actor) for actor, name in enumerate(names)], text_digests=TEXTS)


def test_the_majority_is_chosen_and_its_share_of_all_votes_is_the_weight():
    """Two of three prefer 1: weight 2/3. With a tie vote beside them 2 of 4: weight 0.5."""
    (pair,), dropped = outcomes("first", "second", "first")
    assert (pair.chosen, pair.rejected, pair.weight, dropped) == (1, 2, 0.666667, {})
    (pair,), _dropped = outcomes("first", "second", "first", "tie")
    assert pair.weight == 0.5


def test_the_margin_is_the_mean_strength_seen_from_the_chosen_side():
    """3 and 1 for it, 2 against: (3 + 1 - 2) / 3. A tie counts as 0, a vote that does not say how much as nothing."""
    votes = [
        replace(said("first", 1), strength=3),
        replace(said("first", 2), strength=1),
        replace(said("first", 3, first=2, second=1), strength=2),
    ]
    (pair,), _dropped = pairs_from(votes, text_digests=TEXTS)
    assert (pair.chosen, pair.margin) == (1, 0.666667)
    (pair,), _dropped = pairs_from([*votes, said("tie", 4)], text_digests=TEXTS)
    assert pair.margin == 0.5
    (pair,), _dropped = pairs_from([*votes, said("first", 4)], text_digests=TEXTS)
    assert pair.margin == 0.666667
    (pair,), _dropped = outcomes("first", "first")
    assert pair.margin is None


def test_one_preference_outweighs_one_tie():
    """One of two votes prefers 2, the other says tie: still a pair, at weight 1/2."""
    (pair,), dropped = outcomes("second", "tie")
    assert (pair.chosen, pair.weight, dropped) == (2, 0.5, {})


def test_pairs_that_teach_nothing_are_dropped_by_reason():
    """1:1 is a split vote; two ties against one preference a tie; two "both bad" against one tie are both bad."""
    assert outcomes("first", "second") == ([], {"split_vote": 1})
    assert outcomes("tie", "first", "tie") == ([], {"tie": 1})
    assert outcomes("neither", "tie", "neither") == ([], {"both_bad": 1})
    assert outcomes("tie", "neither") == ([], {"tie": 1})


def test_two_responses_with_one_text_are_no_pair():
    assert pairs_from([said("first", 1, first=1, second=4)], text_digests=TEXTS) == ([], {"identical_texts": 1})


def test_an_actor_has_one_vote_on_a_pair_and_the_last_one_counts():
    """Actor 1 said first, then, asked with the sides swapped, 2 over 1: only the second vote is left."""
    judgements = [said("first", 1), said("first", 1, first=2, second=1)]
    (pair,), dropped = pairs_from(judgements, text_digests=TEXTS)
    assert (pair.chosen, pair.weight, dropped) == (2, 1.0, {"repeated": 1})
    assert pair.sources == (judgements[1].source,)


# On a machine with other work, drawing a few lists may take a second: no fault of ours.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["first", "second", "tie", "neither"]), st.booleans()), max_size=12
    )
)
def test_the_side_a_response_was_offered_on_changes_nothing(votes):
    swap = {"first": "second", "second": "first"}
    straight = [said(outcome, actor) for actor, outcome, _turned in votes]
    mixed = [
        said(swap.get(outcome, outcome), actor, first=2, second=1) if turned else said(outcome, actor)
        for actor, outcome, turned in votes
    ]
    one, dropped_one = pairs_from(straight, text_digests=TEXTS)
    other, dropped_other = pairs_from(mixed, text_digests=TEXTS)
    bare = lambda pairs: [(pair.chosen, pair.rejected, pair.weight) for pair in pairs]  # noqa: E731
    assert (bare(one), dropped_one) == (bare(other), dropped_other)


def thumb(completion, actor, up, prompt=9):
    return Thumb(source=f"fbk_{completion}_{actor}_{up}", prompt=prompt, completion=completion, actor=actor, up=up)


def imitated(pairs, thumbs=()):
    return [(row.completion, row.origin) for row in examples_from(pairs, thumbs, text_digests=TEXTS)]


def pair(chosen, rejected):
    return Pair(prompt=9, chosen=chosen, rejected=rejected, weight=1.0, sources=("ann_x",))


def test_chosen_responses_are_examples_but_not_those_that_lost_elsewhere():
    """1 beat 2 and 2 beat 3: only 1 never lost."""
    assert imitated([pair(1, 2), pair(2, 3)]) == [(1, "chosen")]


def test_a_response_with_more_thumbs_up_than_down_is_an_example():
    assert imitated([], [thumb(2, 1, True), thumb(2, 2, True), thumb(2, 3, False)]) == [(2, "thumb")]
    assert imitated([], [thumb(2, 1, True), thumb(2, 2, False)]) == []


def test_who_changes_their_thumb_has_only_the_last_one():
    assert imitated([], [thumb(2, 1, True), thumb(2, 1, False)]) == []
    assert imitated([], [thumb(2, 1, False), thumb(2, 1, True)]) == [(2, "thumb")]


def test_a_chosen_response_with_thumbs_down_is_no_example():
    assert imitated([pair(1, 2)], [thumb(1, 5, False)]) == []


def test_the_same_text_twice_is_one_example_with_both_origins():
    """Completions 1 and 4 say the same."""
    (row,) = examples_from([pair(1, 2)], [thumb(4, 7, True)], text_digests=TEXTS)
    assert (row.completion, row.origin, row.sources) == (1, "chosen", ("ann_x", "fbk_4_7_True"))


def test_held_out_prompts_are_always_test_and_a_share_of_0_leaves_only_them():
    always = {split_of(prompt_digest=str(n), held_out=True, seed=n, test_share=0.0) for n in range(50)}
    never = {split_of(prompt_digest=str(n), held_out=False, seed=n, test_share=0.0) for n in range(50)}
    assert (always, never) == ({"test"}, {"train"})


def test_the_share_is_met_and_another_seed_draws_other_prompts():
    """4000 draws at 0.25: 1000 expected, standard deviation sqrt(4000 * 0.25 * 0.75) = 27; five of them are 137."""
    draw = lambda seed: [  # noqa: E731
        split_of(prompt_digest=str(n), held_out=False, seed=seed, test_share=0.25) for n in range(4000)
    ]
    assert abs(draw(1).count("test") - 1000) < 137
    assert draw(1) == draw(1) != draw(2)


def ranked(actor, ranks, *, prompt=1, group="tsk_1", bad=False):
    """The votes that a ranking of the completions 1, 2, … implies."""
    votes = []
    for one, other in itertools.combinations(range(len(ranks)), 2):
        order = ranks[one] - ranks[other]
        votes.append(
            Judgement(
                source=f"ann_{actor}",
                prompt=prompt,
                first=one + 1,
                second=other + 1,
                outcome="tie" if order == 0 else "first" if order < 0 else "second",
                actor=actor,
                group=group,
                several=True,
                all_bad=bad,
            )
        )
    return votes


def test_the_pairs_of_a_ranking_weigh_together_as_much_as_one_comparison():
    """Four strictly ranked responses imply six pairs of 1/6 each. With one tie five are left, of 1/5."""
    digests = {key: str(key) for key in range(1, 5)}
    pairs, _dropped = pairs_from(ranked(1, [1, 2, 3, 4]), text_digests=digests)
    assert [(pair.weight, pair.group, pair.group_size) for pair in pairs] == [(0.166667, "tsk_1", 6)] * 6
    tied, dropped = pairs_from(ranked(1, [1, 2, 2, 3]), text_digests=digests)
    assert [pair.weight for pair in tied] == [0.2] * 5
    assert dropped == {"tie": 1}


def test_rankings_of_several_people_are_counted_pair_by_pair():
    """1 2 3, 1 2 3, 2 1 3: of the first pair two of three agree, of the others all; each over the group's three pairs."""
    votes = [vote for actor, ranks in enumerate([[1, 2, 3], [1, 2, 3], [2, 1, 3]]) for vote in ranked(actor, ranks)]
    pairs, _dropped = pairs_from(votes, text_digests={1: "a", 2: "b", 3: "c"})
    assert [(pair.chosen, pair.rejected, pair.weight) for pair in pairs] == [
        (1, 2, 0.222222),
        (1, 3, 0.333333),
        (2, 3, 0.333333),
    ]


def test_the_least_bad_is_preferred_and_not_imitated():
    digests = {1: "a", 2: "b"}
    pairs, _dropped = pairs_from(ranked(1, [1, 2], bad=True), text_digests=digests)
    assert [pair.all_bad for pair in pairs] == [True]
    assert examples_from(pairs, [], text_digests=digests) == []
    mixed, _dropped = pairs_from(
        [*ranked(1, [1, 2], bad=True), *ranked(2, [1, 2]), *ranked(3, [1, 2])], text_digests=digests
    )
    assert [one.completion for one in examples_from(mixed, [], text_digests=digests)] == [1]


def test_aspects_are_counted_as_seen_from_the_chosen_side():
    """Both prefer 2, one of them shown the pair the other way round; on clearness the first of each pair wins."""
    aspects = {"clear": {"choice": "first", "strength": None}}
    one = Judgement(source="a", prompt=1, first=1, second=2, outcome="second", actor=1, aspects=aspects)
    two = Judgement(source="b", prompt=1, first=2, second=1, outcome="first", actor=2, aspects=aspects)
    [pair], _dropped = pairs_from([one, two], text_digests={1: "a", 2: "b"})
    assert (pair.chosen, pair.aspects) == (2, {"clear": {"chosen": 1, "rejected": 1}})


def shown(source, completion, origin="demonstration"):
    return Shown(source=source, prompt=1, completion=completion, origin=origin, actor=1)


def test_what_people_wrote_is_to_be_imitated_unless_it_lost():
    """5 was written, 1 let stand; 6 was written and then lost against 5."""
    lost = Judgement(source="c", prompt=1, first=5, second=6, outcome="first", actor=2)
    digests = {1: "one", 5: "five", 6: "six"}
    pairs, _dropped = pairs_from([lost], text_digests=digests)
    written = [shown("a", 5), shown("b", 6), shown("d", 1, "unchanged")]
    found = examples_from(pairs, [], written, text_digests=digests)
    assert [(one.completion, one.origin, one.sources) for one in found] == [
        (1, "unchanged", ("d",)),
        (5, "demonstration", ("a", "c")),
    ]


def test_prompts_of_one_conversation_stay_together():
    """3 began with 2, 2 with 1; 5 stands alone."""
    assert together([3, 5], [(3, 2), (2, 1)]) == {1: (1, 2, 3), 2: (1, 2, 3), 3: (1, 2, 3), 5: (5,)}
