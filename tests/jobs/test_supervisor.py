"""kill -9 at every joint: real supervisors, real launchers, one database. Nothing is lost, nothing finishes twice."""

import os
import signal
import time
from typing import Any

import psutil
import pytest
from django.db import connection

from jobs import processes, sweeps
from jobs.models import Job, JobEvent, Outbox
from jobs.selectors import metric_series
from jobs.services import go_on, request_cancel
from tests.jobs.fakes import folder_of
from tests.jobs.processes import Fleet, kill, lines_of, stamp_of, state_of, wait_for

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]


def started(job: Job, steps: int = 1) -> None:
    """Wait until the run has done `steps` steps and the row knows its launcher."""
    wait_for(lambda: len(lines_of(job, "work.log")) >= steps and stamp_of(job, "launcher"))


def successor(fleet: Fleet, job: Job) -> Any:
    """Another supervisor, as soon as the lease of the first has run out."""
    wait_for(lambda: Job.objects.abandoned().filter(pk=job.pk).exists())
    return fleet.supervise(job)


def finished(job: Job) -> str:
    wait_for(lambda: state_of(job) in ("succeeded", "failed", "cancelled"))
    return state_of(job)


def finish_count(job: Job) -> int:
    return Outbox.objects.filter(consumer="fake", object_id=job.pk).count()


def test_a_run_ends_with_its_events_and_result_in_the_row(fleet: Fleet, make_job: Any) -> None:
    job = make_job(steps=5)
    fleet.supervise(job).wait()
    job.refresh_from_db()
    assert (job.state, job.result["steps"], job.attempt) == ("succeeded", 5, 1)
    assert [step for step, _loss in metric_series(job, ["loss"])["loss"]] == [1, 2, 3, 4, 5]
    assert job.progress["step"] == 5
    assert finish_count(job) == 1


def test_two_supervisors_run_it_once(fleet: Fleet, make_job: Any) -> None:
    job = make_job(steps=5)
    for process in [fleet.supervise(job), fleet.supervise(job)]:
        process.wait()
    assert len(lines_of(job, "starts.log")) == 1
    assert finish_count(job) == 1


def test_after_kill_9_of_the_supervisor_the_next_adopts_the_run(fleet: Fleet, make_job: Any) -> None:
    job = make_job(steps=70)
    fleet.supervise(job)
    started(job)
    kill(stamp_of(job, "supervisor"))
    successor(fleet, job)
    assert finished(job) == "succeeded"
    assert lines_of(job, "work.log") == list(range(1, 71))
    assert len(lines_of(job, "starts.log")) == 1
    assert (finish_count(job), Job.objects.get(pk=job.pk).attempt) == (1, 1)
    assert JobEvent.objects.filter(job=job, kind="metric").count() == 70


def test_a_run_that_ends_unwatched_is_finished_by_the_next_supervisor(fleet: Fleet, make_job: Any) -> None:
    job = make_job(steps=8)
    fleet.supervise(job)
    started(job)
    kill(stamp_of(job, "supervisor"))
    wait_for(lambda: (folder_of(job) / "result.json").exists())
    successor(fleet, job)
    assert finished(job) == "succeeded"
    assert (len(lines_of(job, "starts.log")), finish_count(job)) == (1, 1)


def test_after_kill_9_of_the_launcher_the_run_goes_on_from_its_checkpoint(fleet: Fleet, make_job: Any) -> None:
    """Checkpoints every 5 steps, killed after step 7 at the earliest: no step up to 5 is done again."""
    job = make_job(steps=20, seconds=0.03)
    fleet.supervise(job)
    started(job, steps=7)
    kill(stamp_of(job, "launcher"))
    wait_for(lambda: state_of(job) == "queued")
    fleet.supervise(job)
    assert finished(job) == "succeeded"
    assert len(lines_of(job, "starts.log")) == 2
    work = lines_of(job, "work.log")
    assert [work.count(step) for step in range(1, 6)] == [1, 1, 1, 1, 1]
    assert [step for step, _loss in metric_series(job, ["loss"])["loss"]] == list(range(1, 21))


def test_after_kill_9_of_both_the_next_supervisor_resumes(fleet: Fleet, make_job: Any) -> None:
    job = make_job(steps=20)
    fleet.supervise(job)
    started(job, steps=6)
    kill(stamp_of(job, "supervisor"))
    kill(stamp_of(job, "launcher"))
    successor(fleet, job)
    assert finished(job) == "succeeded"
    assert (len(lines_of(job, "starts.log")), finish_count(job)) == (2, 1)
    assert lines_of(job, "work.log").count(1) == 1


def test_ranks_without_a_launcher_are_ended_before_the_run_starts_again(fleet: Fleet, make_job: Any) -> None:
    """kill -9 of a launcher leaves its ranks computing into the same directory."""
    job = make_job(steps=20, ranks=1)
    fleet.supervise(job)
    started(job, steps=6)
    orphan = processes.stamp(lines_of(job, "ranks.log")[0])
    kill(stamp_of(job, "supervisor"))
    kill(stamp_of(job, "launcher"))
    assert processes.alive(orphan)
    successor(fleet, job)
    assert finished(job) == "succeeded"
    assert processes.alive(orphan) is None
    assert lines_of(job, "survivors.log") == []
    assert list(processes.of_job(job)) == []


def test_a_run_that_always_crashes_fails_with_its_exit_code(fleet: Fleet, make_job: Any) -> None:
    job = make_job(steps=5, crash_at=1)
    for _attempt in range(3):
        fleet.supervise(job).wait()
    job.refresh_from_db()
    assert (job.state, job.attempt, job.error["class"]) == ("failed", 3, "process_gone")
    assert "exit code 3" in job.error["message"]


def test_a_valid_result_counts_whatever_the_exit_code(fleet: Fleet, make_job: Any) -> None:
    job = make_job(steps=2, exit_code=250)
    fleet.supervise(job).wait()
    assert state_of(job) == "succeeded"


def test_the_engines_own_error_reaches_the_row(fleet: Fleet, make_job: Any) -> None:
    error = {"class": "out_of_memory", "message": "No room.", "hint": "Lower batch_size."}
    job = make_job(steps=1, error=error)
    fleet.supervise(job).wait()
    job.refresh_from_db()
    assert job.state == "failed"
    assert job.error == {**error, "attempt": 1}


def test_a_lost_peer_is_tried_again_and_its_result_put_aside(fleet: Fleet, make_job: Any) -> None:
    job = make_job(steps=2, error={"class": "peer_lost", "message": "Gone."}, only_once=True)
    fleet.supervise(job).wait()
    assert state_of(job) == "queued"
    assert not (folder_of(job) / "result.json").exists()
    fleet.supervise(job).wait()
    assert state_of(job) == "succeeded"


def test_a_run_that_knows_how_to_do_better_is_tried_again_at_no_cost(fleet: Fleet, make_job: Any) -> None:
    error = {"class": "out_of_memory", "message": "No room.", "hint": "It goes on smaller.", "retry": True}
    job = make_job(steps=1, error=error, only_once=True)
    fleet.supervise(job).wait()
    job.refresh_from_db()
    assert (job.state, job.error["hint"], job.max_attempts) == ("queued", "It goes on smaller.", 4)
    fleet.supervise(job).wait()
    assert state_of(job) == "succeeded"


def test_a_run_that_hangs_is_ended_and_resumed(fleet: Fleet, make_job: Any) -> None:
    job = make_job(steps=8, hang_at=7)
    fleet.supervise(job, PLUMBLINE_RUN_SILENCE_SECONDS="1").wait()
    job.refresh_from_db()
    assert (job.state, job.error["class"]) == ("queued", "silent")
    assert "sleeping" in job.error["message"], "it says what its processes were doing"
    assert "PLUMBLINE_RUN_SILENCE_SECONDS" in job.error["hint"]
    fleet.supervise(job).wait()
    assert state_of(job) == "succeeded"
    assert lines_of(job, "work.log") == [1, 2, 3, 4, 5, 6, 6, 7, 8]


def test_steps_are_judged_by_the_run_s_own_and_loading_is_not(fleet: Fleet, make_job: Any) -> None:
    """Each start takes 4 s, each step 0.05 s; 1 s without a step is a hang, also right after the checkpoint of step 5."""
    job = make_job(steps=8, hang_at=6, loads_for=4)
    for state in ("queued", "succeeded"):
        began = time.monotonic()
        fleet.supervise(job, PLUMBLINE_RUN_STEP_SILENCE_SECONDS="1").wait()
        job.refresh_from_db()
        assert job.state == state, job.error
        assert time.monotonic() - began < 120, "not the flat limit"
        if state == "queued":
            assert "No step for 1 s" in job.error["message"]
    assert job.attempt == 2


def test_cancelling_stops_the_run_at_its_next_step(fleet: Fleet, make_job: Any, cast: Any) -> None:
    job = make_job(steps=500)
    fleet.supervise(job)
    started(job)
    request_cancel(actor=cast.mona, job=job)
    assert finished(job) == "cancelled"
    assert list(processes.of_job(job)) == []
    assert finish_count(job) == 0


def test_a_run_deaf_to_the_stop_file_and_term_is_killed_with_its_ranks(fleet: Fleet, make_job: Any, cast: Any) -> None:
    job = make_job(steps=500, deaf=True, ranks=1)
    fleet.supervise(job, PLUMBLINE_RUN_STOP_GRACE_SECONDS="0.3", PLUMBLINE_RUN_TERM_GRACE_SECONDS="0.3")
    started(job)
    request_cancel(actor=cast.mona, job=job)
    assert finished(job) == "cancelled"
    assert list(processes.of_job(job)) == []


def test_a_cancelled_run_goes_on_where_it_stopped(fleet: Fleet, make_job: Any, cast: Any) -> None:
    job = make_job(steps=40)
    fleet.supervise(job)
    started(job, steps=6)
    request_cancel(actor=cast.mona, job=job)
    assert finished(job) == "cancelled"
    job.refresh_from_db()
    go_on(actor=cast.mona, job=job)
    fleet.supervise(job)
    assert finished(job) == "succeeded"
    work = lines_of(job, "work.log")
    assert [work.count(step) for step in range(1, 6)] == [1] * 5, "nothing before the checkpoint is done again"
    assert [step for step, _loss in metric_series(job, ["loss"])["loss"]] == list(range(1, 41))


def test_a_dead_supervisor_is_noticed_long_before_its_lease_ends(fleet: Fleet, make_job: Any) -> None:
    """Leases of ten minutes: while it lives it is left alone, after kill -9 the next look starts another, which adopts."""
    job = make_job(steps=100)
    fleet.supervise(job, PLUMBLINE_JOB_LEASE_SECONDS="600")
    started(job)
    assert sweeps.reap_abandoned() == 0
    kill(stamp_of(job, "supervisor"))
    assert [sweeps.reap_abandoned(), sweeps.reap_abandoned()] == [1, 0]
    assert finished(job) == "succeeded"
    assert (len(lines_of(job, "starts.log")), finish_count(job)) == (1, 1)


def test_a_supervisor_that_lost_its_lease_touches_nothing_more(fleet: Fleet, make_job: Any) -> None:
    """Stopped long enough for another to take over, then woken: the run and its rows stay the successor's."""
    job = make_job(steps=70)
    first = fleet.supervise(job)
    started(job)
    os.kill(first.pid, signal.SIGSTOP)
    successor(fleet, job)
    wait_for(lambda: stamp_of(job, "supervisor")["pid"] != first.pid)
    os.kill(first.pid, signal.SIGCONT)
    assert first.wait(timeout=60) == 0
    assert finished(job) == "succeeded"
    assert lines_of(job, "work.log") == list(range(1, 71))
    assert finish_count(job) == 1


def test_a_missing_interpreter_is_a_clear_failure(fleet: Fleet, make_job: Any) -> None:
    job = make_job(interpreter="/nonexistent/python")
    fleet.supervise(job).wait()
    job.refresh_from_db()
    assert (job.state, job.error["class"]) == ("failed", "launcher_missing")
    assert "make setup" in job.error["hint"]


def test_a_folder_that_cannot_be_written_is_tried_again_then_fails(fleet: Fleet, make_job: Any) -> None:
    """A full disk looks the same to us: OSError while preparing. A file stands where the run directory should."""
    job = make_job()
    folder_of(job).parent.mkdir(parents=True, exist_ok=True)
    folder_of(job).write_text("in the way")
    for _attempt in range(3):
        fleet.supervise(job).wait()
    job.refresh_from_db()
    assert (job.state, job.error["class"]) == ("failed", "disk")


def test_when_finish_fails_the_result_is_kept_for_the_next_attempt(fleet: Fleet, make_job: Any) -> None:
    job = make_job(steps=2, finish_fails=True)
    fleet.supervise(job).wait()
    Job.objects.filter(pk=job.pk).update(spec={**job.spec, "finish_fails": False})
    assert Job.objects.get(pk=job.pk).error["class"] == "registry"
    assert (folder_of(job) / "result.json").exists()


def test_the_engine_is_given_no_secret(fleet: Fleet, make_job: Any) -> None:
    job = make_job(steps=200)
    fleet.supervise(job)
    started(job)
    environment = psutil.Process(stamp_of(job, "launcher")["pid"]).environ()
    assert environment["PLUMBLINE_JOB"] == job.public_id
    assert not [name for name in environment if name.startswith(("DATABASE", "DJANGO", "BROKER", "PLUMBLINE_FIELD"))]


def test_work_in_process_is_taken_up_again_after_kill_9(fleet: Fleet, make_job: Any) -> None:
    job = make_job(kind="fake-long", seconds=1)
    first = fleet.supervise(job)
    wait_for(lambda: state_of(job) == "running")
    first.kill()
    successor(fleet, job).wait()
    assert (state_of(job), len(lines_of(job, "work.log"))) == ("succeeded", 1)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="a file cannot refuse connections")
def test_a_run_outlives_a_database_that_is_away(fleet: Fleet, make_job: Any) -> None:
    """Connections are ended and refused for two seconds, as when PostgreSQL restarts."""
    job = make_job(steps=60)
    supervisor = fleet.supervise(job)
    started(job)
    with connection._nodb_cursor() as elsewhere:
        name = connection.settings_dict["NAME"]
        elsewhere.execute(f"ALTER DATABASE {connection.ops.quote_name(name)} WITH ALLOW_CONNECTIONS false")
        ours = connection.connection.info.backend_pid
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s"
        elsewhere.execute(end, [name, ours])
        time.sleep(2)
        elsewhere.execute(f"ALTER DATABASE {connection.ops.quote_name(name)} WITH ALLOW_CONNECTIONS true")
    assert supervisor.wait(timeout=60) == 0
    assert state_of(job) == "succeeded"
    assert (len(lines_of(job, "starts.log")), finish_count(job)) == (1, 1)
    assert JobEvent.objects.filter(job=job, kind="metric").count() == 60
