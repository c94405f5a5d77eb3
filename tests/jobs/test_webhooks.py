"""Webhooks: what happens here reaches those who asked, signed, at least once, and nothing else is reached."""

import base64
import hashlib
import hmac
import ipaddress
import json
import socket
from datetime import timedelta

import pytest

from config.addresses import networks
from ground import clock
from ground.errors import Conflict, Forbidden, Invalid
from jobs import delivering, notices, posting, services, webhooks
from jobs.dispatch import wake
from jobs.models import Delivery, Job, Outbox
from tests.jobs.receiver import receiving

pytestmark = [pytest.mark.django_db, pytest.mark.store]
LOOPBACK = [ipaddress.ip_network("127.0.0.1/32")]


@pytest.fixture(autouse=True)
def known_events(monkeypatch):
    """One event, of every fake job that ends well."""
    monkeypatch.setattr(notices, "_events", {"run.succeeded": "a run succeeded", "run.failed": "a run failed"})
    told = lambda pk: [  # noqa: E731
        notices.Notice(event="run.succeeded", project_id=job.project_id, data={"job": job.public_id})
        for job in Job.objects.filter(pk=pk, kind="fake-short")
    ]
    monkeypatch.setattr(notices, "_sources", {"job.succeeded": told})


@pytest.fixture
def receiver(settings):
    settings.WEBHOOK_NETWORKS = LOOPBACK
    with receiving() as kept:
        yield kept


@pytest.fixture
def hook(cast, receiver):
    return webhooks.create_webhook(actor=cast.alice, url=receiver.url, events=["run.succeeded"])


def send() -> None:
    """One tick: what happened becomes deliveries, what is due is sent."""
    notices.spread()
    delivering.start_if_due()
    for job in Job.objects.waiting().filter(kind=delivering.SENDING):
        wake(job.public_id)


def later(seconds: float) -> None:
    waiting = Delivery.objects.filter(state="waiting")
    for row in waiting:
        Delivery.objects.filter(pk=row.pk).update(due_at=row.due_at - timedelta(seconds=seconds))


def test_what_happened_arrives_once_signed_as_standard_webhooks_are(hook, receiver, make_job):
    """HMAC-SHA256 over `id.timestamp.body` with the bytes after whsec_, worked out here by itself."""
    wake(make_job(kind="fake-short").public_id)
    send()
    send()
    [(headers, body)] = receiver.came
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(hook.secret.split("_")[1])
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - clock.now().timestamp()) < 60
    assert json.loads(body)["type"] == "run.succeeded"
    assert json.loads(body)["data"]["job"].startswith("job_")
    row = Delivery.objects.get()
    assert (row.public_id, row.state, row.status, row.attempts) == (headers["webhook-id"], "delivered", 200, 1)


def test_only_what_was_asked_for_is_told_and_nobody_listening_leaves_no_row(cast, hook, receiver, make_job):
    webhooks.change_webhook(actor=cast.alice, webhook=hook, events=["run.failed"])
    wake(make_job(kind="fake-short").public_id)
    send()
    assert (receiver.came, Outbox.objects.filter(consumer="webhooks").count()) == ([], 0)
    webhooks.retire_webhook(actor=cast.alice, webhook=hook)
    wake(make_job(kind="fake-short").public_id)
    assert not Outbox.objects.filter(consumer="webhooks").exists()


def test_a_rolled_back_end_is_not_told_and_a_committed_one_survives_a_killed_process(hook, make_job):
    """The outbox row commits with the job's state: no callback after the commit is needed."""
    job = services.claim(job=make_job(kind="fake-short"))
    services.succeed(job=job, result={})
    assert Outbox.objects.filter(consumer="webhooks", topic="job.succeeded", object_id=job.pk).count() == 1
    notices.spread()
    notices.spread()
    assert Delivery.objects.count() == 1


def test_a_failed_delivery_is_tried_again_with_the_same_id_and_longer_pauses(hook, receiver, make_job):
    receiver.statuses = [500, 503]
    wake(make_job(kind="fake-short").public_id)
    send()
    row = Delivery.objects.get()
    assert (row.state, row.status, row.attempts) == ("waiting", 500, 1)
    assert 3 < (row.due_at - clock.now()).total_seconds() < 6
    send()
    assert len(receiver.came) == 1
    later(6)
    send()
    assert 25 < (Delivery.objects.get().due_at - clock.now()).total_seconds() < 31
    later(31)
    send()
    assert Delivery.objects.get().state == "delivered"
    assert len({headers["webhook-id"] for headers, _ in receiver.came}) == 1
    assert len({body for _, body in receiver.came}) == 1


def test_after_the_last_pause_it_has_failed_and_can_be_sent_again_by_hand(cast, hook, receiver, make_job):
    receiver.statuses = [500]
    wake(make_job(kind="fake-short").public_id)
    notices.spread()
    Delivery.objects.update(attempts=len(delivering.PAUSES))
    send()
    row = Delivery.objects.get()
    assert (row.state, row.status) == ("failed", 500)
    webhooks.resend(actor=cast.mona, delivery=row)
    send()
    assert Delivery.objects.get().state == "delivered"
    assert [headers["webhook-id"] for headers, _ in receiver.came] == [row.public_id] * 2


@pytest.mark.parametrize(("status", "state"), [(302, "waiting"), (410, "failed"), (404, "waiting")])
def test_redirects_are_not_followed_and_gone_is_final(cast, hook, receiver, status, state):
    receiver.statuses = [status]
    webhooks.send_test(actor=cast.mona, webhook=hook)
    send()
    row = Delivery.objects.get()
    assert (row.state, row.status, len(receiver.came)) == (state, status, 1)
    assert row.error


def test_a_receiver_that_hangs_is_left_and_does_not_hold_up_the_others(cast, hook, receiver, monkeypatch):
    monkeypatch.setattr(posting, "ALL_SECONDS", 0.5)
    receiver.pause = 3
    with receiving() as quick:
        other = webhooks.create_webhook(actor=cast.alice, url=quick.url, events=["run.failed"])
        webhooks.send_test(actor=cast.mona, webhook=hook)
        webhooks.send_test(actor=cast.mona, webhook=other)
        send()
    states = dict(Delivery.objects.values_list("webhook", "state"))
    assert states == {hook.pk: "waiting", other.pk: "delivered"}
    assert "No answer within" in Delivery.objects.get(webhook=hook).error


def test_of_two_senders_one_sends(cast, hook, receiver):
    webhooks.send_test(actor=cast.mona, webhook=hook)
    row = Delivery.objects.select_related("webhook").get()
    assert [delivering._claimed(row), delivering._claimed(row)] == [True, False]


def test_a_sender_that_died_leaves_its_delivery_to_the_next(cast, hook, receiver):
    webhooks.send_test(actor=cast.mona, webhook=hook)
    assert delivering.claim_round()
    send()
    assert receiver.came == []
    later(delivering.CLAIM_SECONDS + 1)
    send()
    assert Delivery.objects.get().state == "delivered"


def test_a_paused_webhook_waits_and_a_removed_one_is_given_up(cast, hook, receiver):
    webhooks.send_test(actor=cast.mona, webhook=hook)
    webhooks.change_webhook(actor=cast.alice, webhook=hook, paused=True)
    send()
    assert (receiver.came, Delivery.objects.get().state) == ([], "waiting")
    with pytest.raises(Conflict, match="paused"):
        webhooks.send_test(actor=cast.mona, webhook=hook)
    webhooks.retire_webhook(actor=cast.alice, webhook=hook)
    assert Delivery.objects.get().state == "failed"


def test_the_secret_rests_encrypted(hook):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM jobs_webhook")
        assert hook.secret not in cursor.fetchone()[0]


PRIVATE = [
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
    *("::1", "fe80::1", "fc00::1", "fec0::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1", "::"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_reached(settings, address):
    settings.WEBHOOK_NETWORKS = []
    assert not posting.allowed(ipaddress.ip_address(address))
    literal = f"[{address}]" if ":" in address else address
    with pytest.raises(Invalid, match="private network"):
        posting.check_url(f"https://{literal}/hook")


def test_public_addresses_and_named_networks_are_reached(settings):
    settings.WEBHOOK_NETWORKS = networks(["10.0.0.0/8"])
    for address in ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "10.9.9.9", "::ffff:10.9.9.9"):
        assert posting.allowed(ipaddress.ip_address(address)), address
    assert not posting.allowed(ipaddress.ip_address("192.168.0.1"))


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f000001", "2130706433", "017700000001"])
def test_a_name_that_leads_home_is_refused_when_it_is_sent(cast, receiver, settings, host):
    """However it is written: what the resolver says is what is checked."""
    hook = webhooks.create_webhook(
        actor=cast.alice, url=f"http://{host}:{receiver.port}/hook", events=["run.succeeded"]
    )
    settings.WEBHOOK_NETWORKS = []
    webhooks.send_test(actor=cast.mona, webhook=hook)
    send()
    row = Delivery.objects.get()
    assert (row.state, row.status, receiver.came) == ("failed", None, [])
    assert "private network" in row.error


def test_the_connection_goes_to_the_address_that_was_checked(cast, receiver, settings, monkeypatch):
    """A name whose second answer would lead elsewhere: it is asked once, and the answer of then is used."""
    real, asked = socket.getaddrinfo, []

    def resolver(host, port, *args, **more):
        if host != "hooks.example.org":
            return real(host, port, *args, **more)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    url = f"http://hooks.example.org:{receiver.port}/hook"
    hook = webhooks.create_webhook(actor=cast.alice, url=url, events=["run.succeeded"])
    webhooks.send_test(actor=cast.mona, webhook=hook)
    send()
    assert Delivery.objects.get().state == "delivered"
    assert asked == ["hooks.example.org"]
    assert receiver.came[0][0]["host"] == f"hooks.example.org:{receiver.port}"


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.org", "example.org", "", "https://", "https://user:pw@example.org", "https://e.org/#x"),
        *(
            "http://example.org/",
            "https://exa mple.org/",
            "https://example.org:99999/",
            "https://[::1",
            "https://e\x00.org",
        ),
        "https://example.org/" + "a" * 600,
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(cast, settings, url):
    settings.WEBHOOK_NETWORKS = []
    with pytest.raises(Invalid, match="This is no address for a webhook"):
        webhooks.create_webhook(actor=cast.alice, url=url, events=["run.succeeded"])


def test_only_owners_name_addresses(cast, hook):
    url = "https://example.org/"
    for actor in (cast.mona, cast.carol, cast.bob):
        with pytest.raises(Forbidden):
            webhooks.create_webhook(actor=actor, url=url, events=["run.succeeded"])
        with pytest.raises(Forbidden):
            webhooks.change_webhook(actor=actor, webhook=hook, url=url)


def test_by_api_from_the_secret_to_a_resend(cast, api, receiver):
    owner, path = api(cast.alice), f"/api/v1/projects/{cast.project.slug}"
    names = [row["name"] for row in owner.get("/api/v1/webhook-events").json()]
    made = owner.post(f"{path}/webhooks", {"url": receiver.url, "events": names})
    assert (made.status_code, made.json()["secret"][:6]) == (201, "whsec_")
    one = f"{path}/webhooks/{made.json()['id']}"
    assert "secret" not in owner.get(one).json()
    assert "secret" not in owner.get(f"{path}/webhooks").json()[0]
    test = owner.post(f"{one}:test")
    assert (test.status_code, test.json()["state"]) == (202, "waiting")
    send()
    [row] = owner.get(f"{path}/deliveries", {"state": "delivered"}).json()["results"]
    assert (row["id"], row["status"]) == (test.json()["id"], 200)
    assert owner.post(f"{path}/deliveries/{row['id']}:resend").json()["state"] == "waiting"
    assert owner.patch(one, {"paused": True}).json()["paused"]
    assert owner.delete(one).status_code == 204
    assert owner.get(one).status_code == 404


def test_the_api_refuses_what_it_should(cast, api, hook):
    owner, path = api(cast.alice), f"/api/v1/projects/{cast.project.slug}"
    refused = owner.post(f"{path}/webhooks", {"url": "https://example.org/", "events": ["run.exploded"]})
    assert refused.status_code == 422
    assert "run.exploded is no event" in refused.json()["detail"]
    assert owner.post(f"{path}/webhooks", {"url": "https://example.org/", "events": []}).status_code == 400
    assert (
        api(cast.mona).post(f"{path}/webhooks", {"url": "https://e.org/", "events": ["run.failed"]}).status_code == 403
    )
    assert api(cast.bob).get(f"{path}/webhooks").status_code == 403
    assert api(cast.mallory).get(f"{path}/webhooks").status_code == 404
    assert api(cast.alice, "read").get(f"{path}/webhooks").status_code == 403


def test_old_deliveries_are_forgotten_and_waiting_ones_never(cast, hook):
    old = webhooks.send_test(actor=cast.mona, webhook=hook)
    Delivery.objects.update(created_at=clock.now() - timedelta(days=40))
    delivering.forget_old()
    Delivery.objects.filter(pk=old.pk).update(state="failed")
    webhooks.send_test(actor=cast.mona, webhook=hook)
    delivering.forget_old()
    assert [row.state for row in Delivery.objects.all()] == ["waiting"]
