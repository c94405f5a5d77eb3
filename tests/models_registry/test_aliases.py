"""An alias moves by compare-and-set, on evidence, and back."""

import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from ground.errors import Conflict, Forbidden, Invalid, NotFound
from models_registry.models import Alias, AliasMove, Model, Verdict
from models_registry.services import move_alias, record_verdict, roll_back
from models_registry.signals import alias_moved
from tests.factories import make_version

pytestmark = [pytest.mark.django_db, pytest.mark.store]


@pytest.fixture
def champion(cast: Any, model: Any, first: Any) -> Alias:
    verdict = record_verdict(actor=cast.mona, project=cast.project, version=first, outcome="bootstrap")
    return move_alias(
        actor=cast.mona, model=model, name="champion", version=first, verdict=verdict, expected_generation=0
    )


def promote(cast: Any, alias: Alias, version: Any, measured: Any) -> Alias:
    evaluation = measured(version, alias.version, 0.6, 0.8)
    verdict = record_verdict(actor=cast.mona, project=cast.project, evaluation=evaluation)
    return move_alias(
        actor=cast.mona,
        model=alias.model,
        name=alias.name,
        version=version,
        verdict=verdict,
        expected_generation=alias.generation,
    )


def test_the_first_version_becomes_champion_by_bootstrap(champion: Alias, first: Any) -> None:
    assert (champion.version, champion.generation) == (first, 1)
    move = AliasMove.objects.get()
    assert (move.from_version, move.to_version, move.generation) == (None, first, 1)


def test_a_better_version_takes_over(cast: Any, champion: Alias, first: Any, second: Any, measured: Any) -> None:
    moved = promote(cast, champion, second, measured)
    assert (moved.version, moved.generation) == (second, 2)
    assert list(AliasMove.objects.order_by("generation").values_list("from_version", "to_version")) == [
        (None, first.pk),
        (first.pk, second.pk),
    ]


def test_a_move_from_a_generation_that_is_gone_is_a_conflict(
    cast: Any, champion: Alias, second: Any, measured: Any
) -> None:
    evaluation = measured(second, champion.version, 0.6, 0.8)
    verdict = record_verdict(actor=cast.mona, project=cast.project, evaluation=evaluation)
    with pytest.raises(Conflict) as refused:
        move_alias(
            actor=cast.mona,
            model=champion.model,
            name="champion",
            version=second,
            verdict=verdict,
            expected_generation=7,
        )
    assert refused.value.extra["generation"] == 1
    assert AliasMove.objects.count() == 1


def test_an_alias_that_exists_is_not_made_again(cast: Any, model: Any, first: Any, second: Any) -> None:
    move_alias(actor=cast.mona, model=model, name="canary", version=first, expected_generation=0)
    with pytest.raises(Conflict):
        move_alias(actor=cast.mona, model=model, name="canary", version=second, expected_generation=0)
    assert Alias.objects.get(name="canary").version == first


def test_an_undecided_verdict_moves_no_champion(cast: Any, champion: Alias, second: Any, measured: Any) -> None:
    verdict = record_verdict(
        actor=cast.mona, project=cast.project, evaluation=measured(second, champion.version, 0.4, 0.6)
    )
    with pytest.raises(Invalid):
        move_alias(
            actor=cast.mona,
            model=champion.model,
            name="champion",
            version=second,
            verdict=verdict,
            expected_generation=1,
        )


def test_evidence_against_an_earlier_champion_is_stale(
    cast: Any, champion: Alias, first: Any, second: Any, measured: Any
) -> None:
    third = make_version(model=champion.model)
    stale = record_verdict(actor=cast.mona, project=cast.project, evaluation=measured(third, first, 0.6, 0.8))
    moved = promote(cast, champion, second, measured)
    with pytest.raises(Conflict, match="not the champion now"):
        move_alias(
            actor=cast.mona,
            model=moved.model,
            name="champion",
            version=third,
            verdict=stale,
            expected_generation=moved.generation,
        )


def test_a_version_of_another_model_is_refused(cast: Any, champion: Alias) -> None:
    stranger = make_version(cast.project)
    with pytest.raises(Invalid):
        move_alias(actor=cast.mona, model=champion.model, name="canary", version=stranger, expected_generation=0)


def test_an_annotator_moves_nothing(cast: Any, model: Any, first: Any) -> None:
    with pytest.raises(Forbidden):
        move_alias(actor=cast.bob, model=model, name="canary", version=first, expected_generation=0)


def test_somebody_elses_model_is_not_found(cast: Any, model: Any, first: Any) -> None:
    with pytest.raises(NotFound):
        move_alias(actor=cast.mallory, model=model, name="canary", version=first, expected_generation=0)


def test_rollback_returns_to_the_version_and_verdict_before(
    cast: Any, champion: Alias, first: Any, second: Any, measured: Any
) -> None:
    moved = promote(cast, champion, second, measured)
    back = roll_back(actor=cast.mona, alias=moved)
    assert (back.version, back.verdict.outcome, back.generation) == (first, "bootstrap", 3)
    assert AliasMove.objects.get(generation=3).reason == "rollback"


def test_two_rollbacks_go_two_steps_back(cast: Any, champion: Alias, first: Any, second: Any, measured: Any) -> None:
    """1 → 2 → 3, back to 2, back to 1: not forth to 3 again."""
    moved = promote(cast, champion, second, measured)
    moved = promote(cast, moved, make_version(model=moved.model), measured)
    once = roll_back(actor=cast.mona, alias=moved)
    twice = roll_back(actor=cast.mona, alias=once)
    assert (once.version, twice.version) == (second, first)
    with pytest.raises(Conflict):
        roll_back(actor=cast.mona, alias=twice)


def test_rollback_from_a_generation_that_is_gone_is_a_conflict(
    cast: Any, champion: Alias, second: Any, measured: Any
) -> None:
    moved = promote(cast, champion, second, measured)
    with pytest.raises(Conflict):
        roll_back(actor=cast.mona, alias=moved, expected_generation=1)


@pytest.mark.parametrize("outcome", ["worse", "undecided"])
def test_the_database_refuses_a_champion_without_a_winning_verdict(
    cast: Any, champion: Alias, second: Any, outcome: str
) -> None:
    verdict = Verdict.objects.create(
        project=cast.project, version=second, outcome=outcome, evidence={"schema_version": 1}
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        Alias.objects.filter(pk=champion.pk).update(version=second, verdict=verdict)


def test_the_database_refuses_a_verdict_on_another_version(champion: Alias, second: Any) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Alias.objects.filter(pk=champion.pk).update(version=second)


def test_the_database_refuses_a_second_bootstrap(cast: Any, champion: Alias, second: Any) -> None:
    verdict = Verdict.objects.create(
        project=cast.project, version=second, outcome="bootstrap", evidence={"schema_version": 1}
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        Alias.objects.filter(pk=champion.pk).update(version=second, verdict=verdict)


def test_the_database_refuses_a_champion_made_on_an_undecided_verdict(cast: Any, model: Any, first: Any) -> None:
    verdict = Verdict.objects.create(
        project=cast.project, version=first, outcome="undecided", evidence={"schema_version": 1}
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        Alias.objects.create(model=model, name="champion", version=first, verdict=verdict)


def test_the_database_refuses_a_version_of_another_model(cast: Any, model: Any) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Alias.objects.create(model=model, name="canary", version=make_version(cast.project))


@pytest.mark.django_db(transaction=True)
def test_alias_moved_is_sent_after_the_commit_only(cast: Any, model: Any, first: Any) -> None:
    seen: list[Any] = []

    def listen(sender: Any, alias: Alias, move: AliasMove, **kwargs: Any) -> None:
        seen.append((alias.name, move.generation, connection.in_atomic_block))

    alias_moved.connect(listen)
    try:
        with transaction.atomic():
            move_alias(actor=cast.mona, model=model, name="canary", version=first, expected_generation=0)
            assert seen == []
    finally:
        alias_moved.disconnect(listen)
    assert seen == [("canary", 1, False)]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_move_at_once_one_wins(cast: Any, model: Model, first: Any) -> None:
    """Six threads expect generation 1: one move is logged, five are told of the conflict."""
    move_alias(actor=cast.mona, model=model, name="canary", version=first, expected_generation=0)
    others = [make_version(model=model) for _ in range(6)]
    start, outcomes = threading.Barrier(6), []

    def move(version: Any) -> None:
        try:
            start.wait(10)
            move_alias(actor=cast.mona, model=model, name="canary", version=version, expected_generation=1)
            outcomes.append("moved")
        except Conflict:
            outcomes.append("conflict")
        finally:
            connection.close()

    threads = [threading.Thread(target=move, args=(version,)) for version in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["conflict"] * 5 + ["moved"]
    assert Alias.objects.get().generation == 2
    assert AliasMove.objects.count() == 2
