"""What goes into a snapshot: votes counted into pairs, examples to imitate, and the split. Pure, and the same every time."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from feedback.data import Example, Judgement, Pair, Shown, Thumb

TIE, BOTH_BAD, SPLIT, IDENTICAL, REPEATED = "tie", "both_bad", "split_vote", "identical_texts", "repeated"
TURNED = {"first": "second", "second": "first"}


def split_of(*, prompt_digest: str, held_out: bool, seed: int, test_share: float) -> str:
    """`train` or `test`, by the prompt's content alone: all responses to one prompt fall on the same side."""
    if held_out:
        return "test"
    drawn = hashlib.sha256(f"{seed}:{prompt_digest}".encode()).digest()
    return "test" if int.from_bytes(drawn[:8], "big") < test_share * 2**64 else "train"


def together(prompts: Iterable[int], roots: Iterable[tuple[int, int]]) -> dict[int, tuple[int, ...]]:
    """Prompt → all that must fall on its side of the split, sorted: the turns of a conversation share what was said before.

    `roots` are pairs of a prompt and the one its conversation began with.
    """
    found: dict[int, set[int]] = {prompt: {prompt} for prompt in prompts}
    for prompt, root in roots:
        whole = found.setdefault(prompt, {prompt}) | found.setdefault(root, {root})
        for member in whole:
            found[member] = whole
    return {prompt: tuple(sorted(whole)) for prompt, whole in found.items()}


def pairs_from(
    judgements: Iterable[Judgement], *, text_digests: Mapping[int, str]
) -> tuple[list[Pair], dict[str, int]]:
    """Count votes into pairs, and what was left out by reason: votes for `repeated`, pairs for all other reasons.

    `judgements` come oldest first. An actor has one vote on a pair, the last one given, whatever order the pair was shown in.
    The side with more votes is chosen, unless more people said tie, or both bad; its weight is its share of all the votes.

    A ranking of k responses implies k(k-1)/2 pairs, which are not as many judgements: they share a weight of one, as the pairs of a
    prompt share one term of the loss in Ouyang et al. 2022 (InstructGPT), section 3.5. `group` names them for a trainer that
    batches them.
    """
    votes, repeated = _last_votes(judgements)
    dropped: Counter[str] = Counter({REPEATED: repeated} if repeated else {})
    pairs: list[Pair] = []
    for (prompt, left, right), cast in sorted(votes.items()):
        found = _decide(prompt, left, right, list(cast.values()))
        if isinstance(found, str):
            dropped[found] += 1
        elif text_digests[left] == text_digests[right]:
            dropped[IDENTICAL] += 1
        else:
            pairs.append(found)
    return _weighed(pairs), dict(sorted(dropped.items()))


PairKey = tuple[int, int, int]


def _last_votes(judgements: Iterable[Judgement]) -> tuple[dict[PairKey, dict[int, Judgement]], int]:
    """Pair → actor → the judgement as seen from the smaller key."""
    votes: dict[PairKey, dict[int, Judgement]] = defaultdict(dict)
    repeated = 0
    for judgement in judgements:
        left, right = sorted((judgement.first, judgement.second))
        cast = votes[judgement.prompt, left, right]
        repeated += judgement.actor in cast
        cast[judgement.actor] = judgement if judgement.first == left else _turned(judgement)
    return votes, repeated


def _turned(judgement: Judgement) -> Judgement:
    """The same, its sides exchanged."""
    aspects = {
        name: {**said, "choice": TURNED.get(said["choice"], said["choice"])} for name, said in judgement.aspects.items()
    }
    return replace(
        judgement,
        first=judgement.second,
        second=judgement.first,
        outcome=TURNED.get(judgement.outcome, judgement.outcome),
        aspects=aspects,
    )


def _decide(prompt: int, left: int, right: int, cast: Sequence[Judgement]) -> Pair | str:
    counted = Counter(vote.outcome for vote in cast)
    first, second, tie, neither = (counted[name] for name in ("first", "second", "tie", "neither"))
    most = max(first, second)
    if tie > most or neither > most:
        return TIE if tie >= neither else BOTH_BAD
    if first == second:
        return SPLIT
    side, chosen, rejected = ("first", left, right) if first > second else ("second", right, left)
    bad = sum(vote.all_bad for vote in cast if vote.outcome == side)
    return Pair(
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        weight=most / len(cast),
        sources=tuple(sorted(vote.source for vote in cast)),
        group=min((vote.group for vote in cast if vote.group), default=""),
        margin=_margin(cast, side),
        all_bad=bad * 2 > most,
        aspects=_aspects(cast, side),
        several=any(vote.several for vote in cast),
    )


def _margin(cast: Sequence[Judgement], side: str) -> float | None:
    """Mean strength seen from the chosen side: other choices count against it, ties as 0. None where nobody said how much."""
    if not any(vote.strength for vote in cast):
        return None
    signed = [
        (vote.strength or 0) * (1 if vote.outcome == side else -1)
        for vote in cast
        if vote.strength or vote.outcome == "tie"
    ]
    return round(max(0.0, sum(signed) / len(signed)), 6)


def _aspects(cast: Sequence[Judgement], side: str) -> dict[str, dict[str, int]]:
    """Votes by aspect, seen from the chosen side."""
    seen = {side: "chosen", TURNED[side]: "rejected"}
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for vote in cast:
        for name, said in vote.aspects.items():
            found[name][seen.get(said["choice"], said["choice"])] += 1
    return {name: dict(sorted(counts.items())) for name, counts in sorted(found.items())}


def _weighed(pairs: Sequence[Pair]) -> list[Pair]:
    sizes = Counter(pair.group for pair in pairs if pair.group)
    return [
        replace(pair, weight=round(pair.weight / sizes.get(pair.group, 1), 6), group_size=sizes.get(pair.group, 1))
        for pair in pairs
    ]


def examples_from(
    pairs: Iterable[Pair], thumbs: Iterable[Thumb], written: Iterable[Shown] = (), *, text_digests: Mapping[int, str]
) -> list[Example]:
    """Responses to imitate: written or let stand by a person, chosen in a pair, or with more thumbs up than down.

    Never one that lost in a pair, has more thumbs down than up, or was chosen only as the least bad; each text once per prompt.
    """
    pairs = list(pairs)
    liked, balance = _liked(thumbs)
    rejected = {pair.rejected for pair in pairs}
    several = {pair.chosen for pair in pairs if pair.several}
    chosen: dict[tuple[int, int], list[str]] = defaultdict(list)
    for pair in pairs:
        if not pair.all_bad:
            chosen[pair.prompt, pair.chosen].extend(pair.sources)
    shown, origins = _written(written)
    found: dict[tuple[int, str], Example] = {}
    for origin, offered in (("", shown), ("chosen", chosen), ("thumb", liked)):
        for (prompt, completion), sources in sorted(offered.items()):
            if completion in rejected or balance[completion] < 0:
                continue
            key = (prompt, text_digests[completion])
            before = found.get(key)
            merged = tuple(sorted({*sources, *(before.sources if before else ())}))
            found[key] = Example(
                prompt=prompt,
                completion=before.completion if before else completion,
                origin=before.origin if before else origin or origins[completion],
                sources=merged,
                several=bool(before and before.several) or completion in several or not origin,
            )
    return sorted(found.values(), key=lambda example: (example.prompt, example.completion))


def _written(written: Iterable[Shown]) -> tuple[dict[tuple[int, int], list[str]], dict[int, str]]:
    """(prompt, completion) → who wrote it or let it stand, and the first origin of each completion."""
    sources: dict[tuple[int, int], list[str]] = defaultdict(list)
    origins: dict[int, str] = {}
    for one in written:
        sources[one.prompt, one.completion].append(one.source)
        origins.setdefault(one.completion, one.origin)
    return sources, origins


def _liked(thumbs: Iterable[Thumb]) -> tuple[dict[tuple[int, int], list[str]], Counter[int]]:
    """(prompt, completion) → thumbs up, where they outnumber those down, and the balance of each completion.

    Thumbs come oldest first; an actor has one on a completion, the last one given.
    """
    last = {(thumb.completion, thumb.actor): thumb for thumb in thumbs}
    balance: Counter[int] = Counter()
    ups: dict[tuple[int, int], list[str]] = defaultdict(list)
    for thumb in last.values():
        balance[thumb.completion] += 1 if thumb.up else -1
        if thumb.up:
            ups[thumb.prompt, thumb.completion].append(thumb.source)
    return {key: sources for key, sources in ups.items() if balance[key[1]] > 0}, balance
