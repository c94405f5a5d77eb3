"""The message is only a nudge: lost, late, doubled or never sent, the work is done once."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import Celery
from django.db import connection

from config.addresses import broker_transport_options
from config.celery import app
from ground import clock
from jobs import services, sweeps
from jobs.dispatch import put_off, wake
from jobs.models import Job
from tests.jobs.processes import Fleet, kill, lines_of, stamp_of, state_of, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/13")


@pytest.fixture
def broker() -> Iterator[Any]:
    """`broker(url)`: this process nudges through that broker from now on."""

    def use(url: str) -> Celery:
        other = Celery("elsewhere", broker=url)
        other.conf.broker_transport_options = broker_transport_options(url, None)
        other.set_current()
        return other

    yield use
    app.set_current()


@pytest.fixture
def redis(broker: Any) -> Celery:
    """A queue of our own on the real Redis, empty."""
    place = urlsplit(REDIS)
    try:
        socket.create_connection((place.hostname, place.port or 6379), timeout=2).close()
    except OSError:
        pytest.skip(f"no Redis at {REDIS}; set TEST_REDIS_URL")
    ours = broker(REDIS)
    ours.control.purge()
    return ours


def overdue(job: Job, seconds: float) -> None:
    Job.objects.filter(pk=job.pk).update(not_before=clock.now() - timedelta(seconds=seconds))


@pytest.mark.store
def test_many_nudges_at_once_start_one_supervisor(fleet: Fleet, make_job: Any) -> None:
    job, said = make_job(), []

    def nudged() -> None:
        said.append(wake(job.public_id))
        connection.close()

    threads = [threading.Thread(target=nudged) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert said.count("supervisor started") == 1
    wait_for(lambda: state_of(job) == "succeeded")
    assert len(lines_of(job, "starts.log")) == 1


@pytest.mark.store
def test_of_two_nudges_that_saw_the_same_row_one_goes_on(make_job: Any) -> None:
    seen = make_job()
    assert [put_off(seen, 10), put_off(seen, 10)] == [True, False]


@pytest.mark.store
def test_short_work_is_done_at_once_and_once(make_job: Any) -> None:
    job = make_job(kind="fake-short")
    assert [wake(job.public_id), wake(job.public_id)] == ["done here", "nothing to do"]
    assert (state_of(job), lines_of(job, "work.log")) == ("succeeded", [1])


@pytest.mark.store
def test_the_words_of_a_refusal_reach_the_row(make_job: Any) -> None:
    job = make_job(kind="fake-short", error="Not today.")
    wake(job.public_id)
    job.refresh_from_db()
    assert job.error == {"class": "refused", "message": "Not today.", "hint": "Ask again.", "attempt": 1}


@pytest.mark.store
def test_a_nudge_for_a_cancelled_job_does_nothing(make_job: Any, cast: Any) -> None:
    job = make_job(kind="fake-short")
    services.request_cancel(actor=cast.mona, job=job)
    assert wake(job.public_id) == "nothing to do"


@pytest.mark.store
def test_without_a_free_device_no_process_is_started(make_job: Any) -> None:
    make_job(devices=1)
    second = make_job(devices=1)
    assert wake(second.public_id) == "no device is free"
    second.refresh_from_db()
    assert (second.state, second.attempt, second.progress["phase"]) == ("queued", 0, "waiting_for_device")


@pytest.mark.store
def test_the_next_in_line_is_woken_when_a_device_comes_free(make_job: Any) -> None:
    first = services.claim(job=make_job(devices=1))
    second = make_job(devices=1)
    wake(second.public_id)
    services.succeed(job=first, result={"steps": 3})
    assert Job.objects.get(pk=second.pk).not_before <= clock.now()


@pytest.mark.store
def test_when_the_broker_is_away_submitting_still_works_and_the_tick_starts_the_work(
    fleet: Fleet, make_job: Any, broker: Any
) -> None:
    broker("redis://127.0.0.1:1/0")
    began = time.monotonic()
    job = make_job()
    assert time.monotonic() - began < 3
    assert not services.nudge(job.public_id)
    overdue(job, 3)
    sweeps.nudge_waiting()
    wait_for(lambda: state_of(job) == "succeeded")
    assert len(lines_of(job, "starts.log")) == 1


@pytest.mark.store
def test_when_no_worker_listens_the_tick_starts_the_work(fleet: Fleet, make_job: Any) -> None:
    job = make_job()
    overdue(job, 11)
    sweeps.nudge_waiting()
    wait_for(lambda: state_of(job) == "succeeded")


@pytest.mark.store
def test_a_tick_replaces_a_killed_supervisor(fleet: Fleet, make_job: Any) -> None:
    job = make_job(steps=70)
    fleet.supervise(job)
    wait_for(lambda: stamp_of(job, "launcher"))
    kill(stamp_of(job, "supervisor"))
    fleet.manage("tick")
    wait_for(lambda: state_of(job) == "succeeded")
    assert len(lines_of(job, "starts.log")) == 1


@pytest.mark.store
def test_one_supervisor_is_replaced_by_one(make_job: Any, stopped_clock: Any, fleet: Fleet) -> None:
    job = services.claim(job=make_job())
    stopped_clock.advance(minutes=5)
    assert [sweeps.reap_abandoned(), sweeps.reap_abandoned()] == [1, 0]
    assert job is not None


@pytest.mark.store
def test_another_machines_run_is_left_to_its_own_tick_for_ten_minutes(make_job: Any, stopped_clock: Any) -> None:
    job = services.claim(job=make_job())
    services.renew(job=job, process={"host": "another-machine"})
    stopped_clock.advance(minutes=9)
    assert sweeps.reap_abandoned() == 0


@pytest.mark.launcher
def test_a_worker_killed_with_the_message_in_hand_loses_no_work(fleet: Fleet, make_job: Any, redis: Celery) -> None:
    """Real Redis, real workers. The sweep sends the message again; the second worker dies too, but the run does not notice."""
    first = fleet.manage("worker", "--concurrency=1", TEST_BROKER_URL=REDIS)
    short = make_job(kind="fake-short")
    wait_for(lambda: state_of(short) == "succeeded")
    os.kill(first.pid, signal.SIGSTOP)
    job = make_job(steps=40)
    os.killpg(first.pid, signal.SIGKILL)
    redis.control.purge()
    second = fleet.manage("worker", "--concurrency=1", TEST_BROKER_URL=REDIS)
    overdue(job, 3)
    sweeps.nudge_waiting()
    wait_for(lambda: lines_of(job, "work.log"))
    os.killpg(second.pid, signal.SIGKILL)
    wait_for(lambda: state_of(job) == "succeeded")
    assert len(lines_of(job, "starts.log")) == 1
