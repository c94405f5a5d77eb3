"""Versions never change; prompts are stored once; samples are stored once."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from ground.errors import Forbidden, Invalid, NotFound
from jobs.models import Job
from models_registry.models import (
    AliasMove,
    Completion,
    Model,
    ModelVersion,
    Prompt,
)
from models_registry.selectors import resolve_reference
from models_registry.services import (
    add_completions,
    import_prompts,
    move_alias,
    record_verdict,
    register_version,
    request_completions,
    write_completion,
)
from models_registry.signals import completions_ready
from tests.factories import make_completion, make_prompt, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.store]


def register(cast: Any, digest: str = "sha256:1", run: str = "run_1", **more: Any) -> ModelVersion:
    values: dict[str, Any] = {
        "actor": cast.mona,
        "project": cast.project,
        "model_slug": "assistant",
        "kind": "causal",
        "artifact": Path("a"),
        "digest": digest,
        "files": {"model.safetensors": "1"},
        "lineage": {"schema_version": 1, "run": run},
    }
    return register_version(**{**values, **more})


def test_versions_are_numbered_from_one(cast: Any) -> None:
    assert [register(cast, f"sha256:{n}", f"run_{n}").number for n in range(3)] == [1, 2, 3]


def test_registering_the_same_result_again_gives_the_first_version(cast: Any) -> None:
    assert register(cast) == register(cast)
    assert register(cast, run="run_2").number == 2


def test_a_library_model_gives_way_to_the_projects_own_of_that_slug(cast: Any) -> None:
    library = register(cast, actor=None, project=None)
    assert resolve_reference(cast.project, "assistant@1") == library
    own = register(cast)
    assert resolve_reference(cast.project, "assistant@1") == own
    assert resolve_reference(cast.mallory.project, "assistant@1") == library
    assert resolve_reference(cast.mallory.project, own.public_id) is None


@pytest.mark.parametrize("slug", ["", "Assistant", "a b", "a/b", "x" * 81])
def test_a_slug_that_is_none_is_refused(cast: Any, slug: str) -> None:
    with pytest.raises(Invalid):
        register(cast, model_slug=slug)


def test_another_projects_actor_registers_nothing_here(cast: Any) -> None:
    with pytest.raises(Forbidden):
        register(cast, actor=cast.mallory)


@pytest.mark.django_db(transaction=True)
def test_versions_registered_at_once_get_numbers_of_their_own(cast: Any) -> None:
    register(cast, "sha256:0", "run_0")
    start, failures = threading.Barrier(4), []

    def work(n: int) -> None:
        try:
            start.wait(10)
            register(cast, f"sha256:{n}", f"run_{n}")
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert sorted(ModelVersion.objects.values_list("number", flat=True)) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("noun", ["version", "completion", "verdict", "evaluation", "move"])
def test_the_database_refuses_to_change_a_record(cast: Any, model: Model, first: Any, measured: Any, noun: str) -> None:
    verdict = record_verdict(actor=cast.mona, project=cast.project, version=first, outcome="bootstrap")
    move_alias(actor=cast.mona, model=model, name="champion", version=first, verdict=verdict, expected_generation=0)
    rows: dict[str, Any] = {
        "version": (first, {"digest": "sha256:other"}),
        "completion": (make_completion(make_prompt(cast.project)), {"text": "Never said."}),
        "verdict": (verdict, {"outcome": "better"}),
        "evaluation": (measured(first, None, 0.1, 0.2), {"judge": "me"}),
        "move": (AliasMove.objects.get(), {"reason": "other"}),
    }
    row, change = rows[noun]
    with pytest.raises(IntegrityError), transaction.atomic():
        type(row).objects.filter(pk=row.pk).update(**change)


def test_an_import_gives_one_result_per_row_and_stores_each_prompt_once(cast: Any) -> None:
    rows = [
        {"prompt": "What is rain?", "external_id": "a", "held_out": True},
        {"messages": [{"role": "user", "content": "What is rain?"}]},
        {"prompt": ""},
        {"prompt": "What is snow?", "metadata": {"topic": "weather"}},
        "no object",
    ]
    results = import_prompts(actor=cast.mona, project=cast.project, rows=rows)
    assert [result.status for result in results] == ["created", "existing", "invalid", "created", "invalid"]
    assert results[0].id == results[1].id
    assert Prompt.objects.count() == 2
    kept = Prompt.objects.get(public_id=results[0].id)
    assert (kept.held_out, kept.external_id) == (True, "a")


def test_the_same_import_again_makes_nothing(cast: Any) -> None:
    rows = [{"prompt": f"Question {n}?"} for n in range(5)]
    made = import_prompts(actor=cast.mona, project=cast.project, rows=rows)
    again = import_prompts(actor=cast.mona, project=cast.project, rows=rows)
    assert {result.status for result in again} == {"existing"}
    assert [result.id for result in again] == [result.id for result in made]


@pytest.mark.parametrize(
    ("row", "where"),
    [
        ({"prompt": "a\x00b"}, "NUL"),
        ({"prompt": "\ud800"}, "surrogate"),
        ({"prompt": "a", "metadata": {"a": ["\x00"]}}, "metadata.a"),
        ({"prompt": "a", "metadata": {"a": float("inf")}}, "finite"),
        ({"prompt": "a", "held_out": "yes"}, "held_out"),
        ({"prompt": "a", "messages": []}, "either"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "last message"),
        ({"messages": [{"role": "wizard", "content": "a"}]}, "role"),
        ({"promt": "a"}, "unknown field"),
        ({"\ud800": "a"}, "unknown field"),
        ({"messages": [{"role": "user", "content": "a", "\ud800": 1}]}, "unknown"),
        ({"prompt": 7}, "text"),
    ],
)
def test_a_wrong_row_says_what_is_wrong(cast: Any, row: Any, where: str) -> None:
    [result] = import_prompts(actor=cast.mona, project=cast.project, rows=[row])
    assert (result.status, Prompt.objects.count()) == ("invalid", 0)
    assert where in result.error
    assert result.error.encode()


def test_an_annotator_imports_nothing(cast: Any) -> None:
    with pytest.raises(Forbidden):
        import_prompts(actor=cast.bob, project=cast.project, rows=[{"prompt": "a"}])


@pytest.fixture
def job(cast: Any) -> Job:
    return Job.objects.create(project=cast.project, kind="generate", spec={"schema_version": 1})


def test_samples_of_a_job_are_stored_once(cast: Any, job: Job, first: Any) -> None:
    prompt = make_prompt(cast.project)
    rows = [{"prompt": prompt.public_id, "text": f"Answer {n}\x00", "external_id": f"{n}"} for n in range(3)]
    assert add_completions(job=job, version=first, rows=rows) == 3
    assert add_completions(job=job, version=first, rows=rows) == 0
    assert set(Completion.objects.values_list("text", flat=True)) == {f"Answer {n}\ufffd" for n in range(3)}


def test_samples_for_another_projects_prompt_are_refused(cast: Any, job: Job, first: Any) -> None:
    stranger = make_prompt(cast.mallory.project)
    with pytest.raises(NotFound):
        add_completions(job=job, version=first, rows=[{"prompt": stranger.public_id, "text": "a", "external_id": "1"}])


@pytest.mark.django_db(transaction=True)
def test_completions_ready_is_sent_on_commit(cast: Any, job: Job, first: Any) -> None:
    seen: list[Any] = []

    def listen(sender: Any, job: Job, **kwargs: Any) -> None:
        seen.append(job.public_id)

    prompt = make_prompt(cast.project)
    completions_ready.connect(listen)
    try:
        with transaction.atomic():
            add_completions(
                job=job, version=first, rows=[{"prompt": prompt.public_id, "text": "a", "external_id": "1"}]
            )
            assert seen == []
    finally:
        completions_ready.disconnect(listen)
    assert seen == [job.public_id]


def test_a_person_writes_a_completion(cast: Any) -> None:
    written = write_completion(actor=cast.carol, prompt=make_prompt(cast.project), text="Better so.")
    assert (written.source, written.actor, written.version) == ("human", cast.carol, None)


def test_a_stranger_writes_nothing_here(cast: Any) -> None:
    with pytest.raises(Forbidden):
        write_completion(actor=cast.mallory, prompt=make_prompt(cast.project), text="Mine.")


@pytest.fixture
def generate() -> Iterator[None]:
    """A kind of that name, whatever floor is there to register the real one."""
    from jobs import kinds

    before = kinds._kinds.get("generate")
    kinds.register(kinds.Kind(name="generate", label="generate", run=lambda job: {}))
    yield
    if before is None:
        del kinds._kinds["generate"]
    else:
        kinds.register(before)


def ask_for(cast: Any, versions: list[Any], prompts: list[Any], **more: Any) -> list[Job]:
    values: dict[str, Any] = {"samples": 2, "sampling": {"temperature": 1.0}, "purpose": "evaluation", "key": "round-1"}
    return request_completions(
        actor=cast.mona, project=cast.project, versions=versions, prompts=prompts, **{**values, **more}
    )


def test_asking_again_with_the_same_key_gives_the_same_jobs(cast: Any, generate: None, first: Any, second: Any) -> None:
    prompts = [make_prompt(cast.project) for _n in range(2)]
    jobs = ask_for(cast, [first, second], prompts)
    assert [job.spec["version"] for job in jobs] == [first.public_id, second.public_id]
    assert jobs[0].spec["prompts"] == [prompt.public_id for prompt in prompts]
    assert ask_for(cast, [first, second], prompts) == jobs
    assert Job.objects.count() == 2


def test_a_long_key_still_tells_jobs_apart(cast: Any, generate: None, first: Any, second: Any) -> None:
    one, two = ask_for(cast, [first, second], [make_prompt(cast.project)], key="k" * 119)
    assert one.key != two.key


def test_what_belongs_elsewhere_is_not_asked_for(cast: Any, generate: None, first: Any) -> None:
    stranger = make_version(cast.mallory.project)
    with pytest.raises(NotFound):
        ask_for(cast, [stranger], [make_prompt(cast.project)])
    with pytest.raises(NotFound):
        ask_for(cast, [first], [make_prompt(cast.mallory.project)])
    with pytest.raises(Invalid):
        ask_for(cast, [first], [])
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("reference", "found"),
    [("assistant@1", True), ("assistant@canary", True), ("assistant", False), ("assistant@2", False), ("a\x00", False)],
)
def test_references_resolve(cast: Any, model: Model, first: Any, reference: str, found: bool) -> None:
    move_alias(actor=cast.mona, model=model, name="canary", version=first, expected_generation=0)
    assert resolve_reference(cast.project, reference) == (first if found else None)


def test_a_version_made_elsewhere_is_no_version_of_ours(cast: Any) -> None:
    stranger = make_version(cast.mallory.project)
    assert resolve_reference(cast.project, stranger.public_id) is None
