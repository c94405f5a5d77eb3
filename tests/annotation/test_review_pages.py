"""The review pages without a browser: who gets in, what they say, what a form means."""

import json

import pytest

from annotation.models import Annotation, Case, Slot, Watched
from annotation.services import slots
from annotation.services.reviews import answer_name
from annotation.services.settling import settle
from tests.annotation.gold import make_texts
from tests.annotation.review_story import asks, decision, routed, say
from tests.factories import make_annotators

pytestmark = pytest.mark.django_db


@pytest.fixture
def split(cast, make_tasks):
    def make(one=None):
        [task] = make_tasks(1, overlap=2)
        asks(cast.project, review_below=0.5)
        fresh = make_annotators(cast.project, 2)
        first, second = say(task, one or fresh[0], "first"), say(task, fresh[1], "second")
        return first, second, routed(task)

    return make


@pytest.fixture
def to(cast, client):
    """`to(actor)`: the address of a page of the project, that person signed in."""

    def address(actor, path=""):
        client.force_login(actor.user)
        return f"/p/{cast.project.slug}/{path}"

    return address


def test_reviewers_see_cases_annotators_and_strangers_do_not(cast, client, to, split):
    case = split()[2]
    assert client.get(to(cast.carol, "review/")).status_code == 200
    for path in ("review/", f"review/{case.public_id}/"):
        assert client.get(to(cast.bob, path)).status_code == 403
        assert client.get(to(cast.mallory, path)).status_code == 404
    assert client.get(to(cast.carol, "review/cas_0/")).status_code == 404
    assert client.get(to(cast.carol, "review/nonsense/")).status_code == 404
    assert client.get(to(cast.carol, "review/?after=cas_0")).status_code == 404
    assert client.get(to(cast.carol, "review/?reason=nonsense")).status_code == 200


def test_the_page_is_blind_until_a_manager_asks_after_the_settlement(cast, client, to, split):
    first, second, case = split()
    where = f"review/{case.public_id}/"
    page = client.get(to(cast.mona, where)).content.decode()
    assert first.actor.pseudonym not in page
    assert first.public_id not in page
    assert client.post(to(cast.mona, where + "unblind")).status_code == 409
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "accept"}))
    assert first.actor.pseudonym not in client.get(to(cast.mona, where)).content.decode()
    assert first.actor.pseudonym in client.post(to(cast.mona, where + "unblind")).content.decode()
    assert client.post(to(cast.carol, where + "unblind")).status_code == 403


def test_ones_own_work_is_named_and_not_shown(cast, client, to, split):
    _first, second, case = split(one=cast.carol)
    page = client.get(to(cast.carol, f"review/{case.public_id}/")).content.decode()
    assert "You answered this one" in page
    assert "because" not in page
    assert "you answered yourself" in client.get(to(cast.carol, "review/")).content.decode()
    assert second is not None


def posted(case, first, second, **more):
    one, two = (answer_name(case, said.public_id) for said in (first, second))
    return {
        f"verdict-{one}": "accept",
        f"verdict-{two}": "fix",
        f"comment-{two}": "Look again.",
        "cause": "mistake",
        **more,
    }


def test_an_answer_of_the_reviewers_own_is_settled_from_the_form(cast, client, to, split):
    first, second, case = split()
    where = f"review/{case.public_id}/"
    client.post(to(cast.carol, where + "take"))
    body = posted(case, first, second, overall="own", own=json.dumps({"preference": {"choice": "tie"}}))
    done = client.post(to(cast.carol, where), body)
    assert (done.status_code, done["Location"]) == (302, to(cast.carol, "review/"))
    assert Annotation.objects.get(settlement=True).answers["preference"]["choice"] == "tie"


def test_a_refused_settlement_keeps_what_was_typed(cast, client, to, split):
    first, second, case = split()
    where = f"review/{case.public_id}/"
    client.post(to(cast.carol, where + "take"))
    refused = client.post(to(cast.carol, where), posted(case, first, second, comment="Kept here."))
    page = refused.content.decode()
    assert refused.status_code == 422
    assert "A corrected answer needs the one that takes its place." in page
    assert "Kept here." in page
    assert "Look again." in page
    assert Case.objects.get().state == Case.State.LEASED


@pytest.mark.parametrize(
    "more",
    [
        {"overall": "own"},
        {"overall": "ans_x"},
        {"cause": "\x00"},
        {"comment": "\x00"},
        {"overall": "own", "own": '{"preference": {"choice": "first", "strength": 9}}'},
        {"overall": "own", "own": '{"preference": {"choice": "tie", "reason": "\\u0000"}}'},
        {"overall": "own", "own": "\x00"},
        {"overall": "own", "own": "[" * 100_000},
        {"overall": "own", "own": "[1]"},
    ],
)
def test_no_form_makes_the_server_fail(cast, client, to, split, more):
    first, second, case = split()
    where = f"review/{case.public_id}/"
    client.post(to(cast.carol, where + "take"))
    assert client.post(to(cast.carol, where), posted(case, first, second, **more)).status_code in (409, 422)


def test_leaving_a_case_goes_on_with_the_one_behind_it(cast, client, to, split):
    one, two = split()[2], split()[2]
    client.post(to(cast.carol, "review/next"))
    left = client.post(to(cast.carol, f"review/{one.public_id}/release"))
    assert left["Location"].endswith(f"{two.public_id}/")
    assert Case.objects.get(pk=one.pk).state == Case.State.OPEN


def test_a_settlement_is_taken_back_on_its_page(cast, client, to, split):
    first, second, case = split()
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "accept"}))
    where = f"review/{case.public_id}/"
    assert "Take the settlement back" in client.get(to(cast.carol, where)).content.decode()
    client.post(to(cast.carol, where + "reopen"))
    assert Case.objects.get().state == Case.State.LEASED


def test_managers_watch_and_stop_watching_on_the_page(cast, client, to):
    body = {"annotator": cast.bob.public_id, "share": 25, "reason": "new here"}
    client.post(to(cast.mona, "review/watch"), body)
    assert Watched.objects.get().rate == 0.25
    assert "new here" in client.get(to(cast.mona, "review/")).content.decode()
    assert "Annotators under review" not in client.get(to(cast.carol, "review/")).content.decode()
    assert client.post(to(cast.carol, "review/watch"), body).status_code == 403
    assert client.post(to(cast.mona, "review/watch"), {**body, "share": 101}).status_code == 422
    client.post(to(cast.mona, "review/watch"), {**body, "share": 0})
    assert not Watched.objects.exists()


def test_the_badge_counts_new_rulings_of_the_reader_alone(cast, client, to, split, rf):
    from django.template.loader import render_to_string

    first, second, case = split()
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "reject"}))

    def badge(actor):
        request = rf.get("/")
        request.user = actor.user
        return render_to_string("annotation/_rulings_badge.html", {"project": cast.project}, request).strip()

    assert "1 new" in badge(first.actor)
    assert badge(cast.bob) == ""
    assert "/rulings/" in client.get(to(first.actor, "label/")).content.decode()
    assert "1 answer of yours" in client.get(to(first.actor, "rulings/")).content.decode()
    client.post(to(first.actor, "rulings/"))
    assert badge(first.actor) == ""
    assert client.get(to(first.actor, "rulings/?page=99999999")).status_code == 200
    assert client.get(to(first.actor, "rulings/?page=٣")).status_code == 200


def test_a_task_reviewed_twice_shows_what_stands(cast, client, to, split):
    first, second, case = split()
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "fix"}, adopt=first))
    client.post(to(cast.mona, f"review/{case.public_id}/again"))
    again = Case.objects.get(reasons=["asked"])
    assert "What stands for this task" in client.get(to(cast.mona, f"review/{again.public_id}/")).content.decode()


def test_texts_with_labels_are_reviewed_too(cast, client, to):
    """Jaccard of {kind} and {kind, neither} is 1/2: below 0.9. The reviewer's own answer holds both labels of the second."""
    [task] = make_texts(cast.project, 1, overlap=2, multiple=True)
    asks(cast.project, review_below=0.9)
    for actor, labels in zip(make_annotators(cast.project, 2), (["kind"], ["kind", "neither"]), strict=True):
        claim = slots.take_next(actor=actor)
        slot = Slot.objects.select_related("task").get(pk=claim.slot_id)
        answers = {"labels": {"labels": labels}}
        slots.submit_answer(actor=actor, slot=slot, token=claim.token, key="k", answers=answers)
    case = routed(task)
    assert case.agreement == 0.5
    where = f"review/{case.public_id}/"
    client.post(to(cast.carol, where + "take"))
    page = client.get(to(cast.carol, where)).content.decode()
    assert task.data["text"] in page
    assert "kind, neither" in page
    names = [answer_name(case, said.public_id) for said in Annotation.objects.all()]
    body = {**{f"verdict-{name}": "fix" for name in names}, "cause": "ambiguous", "overall": "own"}
    own = lambda *labels: json.dumps({"labels": {"labels": labels}})  # noqa: E731
    assert client.post(to(cast.carol, where), {**body, "own": own("kind", "moon")}).status_code == 422
    assert client.post(to(cast.carol, where), {**body, "own": own("neither", "kind")}).status_code == 302
    assert Annotation.objects.get(settlement=True).answers["labels"]["labels"] == ["kind", "neither"]
    assert "What stands now" in client.get(to(Annotation.objects.first().actor, "rulings/")).content.decode()
