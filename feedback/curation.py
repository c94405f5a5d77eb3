"""What goes into a snapshot: votes counted into pairs, examples to imitate, and the split. Pure, and the same every time."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from feedback.data import Example, Judgement, Pair, Thumb

TIE, BOTH_BAD, SPLIT, IDENTICAL, REPEATED = "tie", "both_bad", "split_vote", "identical_texts", "repeated"


def split_of(*, prompt_digest: str, held_out: bool, seed: int, test_share: float) -> str:
    """`train` or `test`, by the prompt's content alone: all responses to one prompt fall on the same side."""
    if held_out:
        return "test"
    drawn = hashlib.sha256(f"{seed}:{prompt_digest}".encode()).digest()
    return "test" if int.from_bytes(drawn[:8], "big") < test_share * 2**64 else "train"


def pairs_from(
    judgements: Iterable[Judgement], *, text_digests: Mapping[int, str]
) -> tuple[list[Pair], dict[str, int]]:
    """Count votes into pairs, and what was left out by reason: votes for `repeated`, pairs for all other reasons.

    `judgements` come oldest first. An actor has one vote on a pair, the last one given, whatever order the pair was shown in.
    The side with more votes is chosen, unless more people said tie, or both bad; its weight is its share of all the votes.
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
    return pairs, dict(sorted(dropped.items()))


PairKey = tuple[int, int, int]


def _last_votes(judgements: Iterable[Judgement]) -> tuple[dict[PairKey, dict[int, tuple[str, str]]], int]:
    """Pair → actor → (outcome as seen from the smaller key, source)."""
    votes: dict[PairKey, dict[int, tuple[str, str]]] = defaultdict(dict)
    repeated = 0
    for judgement in judgements:
        left, right = sorted((judgement.first, judgement.second))
        cast = votes[judgement.prompt, left, right]
        repeated += judgement.actor in cast
        cast[judgement.actor] = (_seen_from(left, judgement), judgement.source)
    return votes, repeated


def _seen_from(left: int, judgement: Judgement) -> str:
    turned = {"first": "second", "second": "first"}
    same_way = judgement.first == left
    return judgement.outcome if same_way else turned.get(judgement.outcome, judgement.outcome)


def _decide(prompt: int, left: int, right: int, cast: Sequence[tuple[str, str]]) -> Pair | str:
    counted = Counter(outcome for outcome, _source in cast)
    first, second, tie, neither = (counted[name] for name in ("first", "second", "tie", "neither"))
    most = max(first, second)
    if tie > most or neither > most:
        return TIE if tie >= neither else BOTH_BAD
    if first == second:
        return SPLIT
    chosen, rejected = (left, right) if first > second else (right, left)
    sources = tuple(sorted(source for _outcome, source in cast))
    return Pair(prompt=prompt, chosen=chosen, rejected=rejected, weight=round(most / len(cast), 6), sources=sources)


def examples_from(pairs: Iterable[Pair], thumbs: Iterable[Thumb], *, text_digests: Mapping[int, str]) -> list[Example]:
    """Responses to imitate: chosen in a pair (a correction is), or with more thumbs up than down.

    Never one that lost in another pair or has more thumbs down than up; each text once per prompt.
    """
    pairs = list(pairs)
    liked, balance = _liked(thumbs)
    rejected = {pair.rejected for pair in pairs}
    chosen: dict[tuple[int, int], list[str]] = defaultdict(list)
    for pair in pairs:
        chosen[pair.prompt, pair.chosen].extend(pair.sources)
    found: dict[tuple[int, str], Example] = {}
    for origin, offered in (("chosen", chosen), ("thumb", liked)):
        for (prompt, completion), sources in sorted(offered.items()):
            if completion in rejected or balance[completion] < 0:
                continue
            key = (prompt, text_digests[completion])
            before = found.get(key)
            merged = tuple(sorted({*sources, *(before.sources if before else ())}))
            found[key] = Example(
                prompt=prompt,
                completion=before.completion if before else completion,
                origin=before.origin if before else origin,
                sources=merged,
            )
    return sorted(found.values(), key=lambda example: (example.prompt, example.completion))


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
