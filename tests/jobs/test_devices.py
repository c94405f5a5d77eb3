"""Devices are counted and given out first come, first served."""

from typing import Any

import pytest

from jobs import devices, gpus, services
from jobs.errors import JobError
from jobs.models import Device, Job

pytestmark = [pytest.mark.store, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    set_gpus(monkeypatch, None)


def set_gpus(monkeypatch: pytest.MonkeyPatch, driver_tool: str | None) -> None:
    """Put a folder with the driver's tool, or without, in front of everything."""
    monkeypatch.setenv("PATH", driver_tool or "/nonexistent")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpus.gpus.cache_clear()


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 0; echo 1; echo 2; echo 3\n")
    tool.chmod(0o755)
    set_gpus(monkeypatch, str(tmp_path))


@pytest.fixture(autouse=True)
def forget_gpus() -> Any:
    yield
    gpus.gpus.cache_clear()


def running(job: Job) -> Job:
    mine = services.claim(job=job)
    assert mine is not None
    return mine


def test_a_machine_without_gpus_has_one_device(make_job: Any) -> None:
    assert [device.kind for device in devices.acquire(running(make_job(devices=1)))] == ["cpu"]
    assert Device.objects.count() == 1


def test_two_ranks_on_a_cpu_need_one_device(make_job: Any) -> None:
    assert len(devices.acquire(running(make_job(devices=2)))) == 1


def test_a_second_job_waits_until_the_first_is_over(make_job: Any) -> None:
    first, second = running(make_job(devices=1)), running(make_job(devices=1))
    assert devices.acquire(first)
    assert devices.acquire(second) == []
    services.succeed(job=first, result={"steps": 3})
    assert devices.acquire(second)


def test_a_later_job_does_not_overtake(make_job: Any) -> None:
    make_job(devices=1)
    later = running(make_job(devices=1))
    assert devices.acquire(later) == []
    assert not devices.may_have(later)


def test_a_job_that_pauses_after_a_failure_keeps_nobody_waiting(
    make_job: Any, stopped_clock: Any, settings: Any
) -> None:
    settings.JOB_RETRY_SECONDS = 300
    lost = services.Failure("process_gone", "Gone.", retryable=True)
    services.fail(job=running(make_job(devices=1)), failure=lost)
    assert devices.acquire(running(make_job(devices=1)))


def test_a_successor_keeps_the_devices_of_its_job(make_job: Any) -> None:
    mine = running(make_job(devices=1))
    assert devices.acquire(mine) == devices.acquire(mine)


def test_gpus_are_counted_one_by_one(make_job: Any, four_gpus: None) -> None:
    """Four GPUs: 3 + 1 fit beside each other, one more job must wait."""
    three, one, another = (running(make_job(devices=count)) for count in (3, 1, 1))
    assert [device.ordinal for device in devices.acquire(three)] == [0, 1, 2]
    assert [device.ordinal for device in devices.acquire(one)] == [3]
    assert devices.acquire(another) == []


def test_a_job_takes_all_it_needs_or_none(make_job: Any, four_gpus: None) -> None:
    devices.acquire(running(make_job(devices=3)))
    assert devices.acquire(running(make_job(devices=2))) == []
    assert Device.objects.filter(job=None).count() == 1


def test_a_job_larger_than_the_machine_is_told_so(make_job: Any, four_gpus: None) -> None:
    with pytest.raises(JobError, match=r"needs 5 devices; the machine .* has 4"):
        devices.acquire(running(make_job(devices=5)))


def test_hidden_gpus_are_not_used(four_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    gpus.gpus.cache_clear()
    assert devices.gpu_ordinals() == (1, 3)


@pytest.mark.parametrize(
    ("cards", "cores", "layout"),
    [
        (1, 8, {"world_size": 1, "zero_stage": 0}),
        (4, 8, {"world_size": 2, "zero_stage": 2}),
        (0, 8, {"world_size": 2, "zero_stage": 2}),
        (0, 1, {"world_size": 1, "zero_stage": 0}),
    ],
)
def test_a_run_usually_takes_two_of_what_there_is(
    four_gpus: None, monkeypatch: pytest.MonkeyPatch, cards: int, cores: int, layout: dict[str, int]
) -> None:
    """Two processes on the only GPU would be refused when the run starts."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(cards))))
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(cores)))
    gpus.gpus.cache_clear()
    assert gpus.usual_layout() == layout


def test_a_forgotten_device_is_freed(make_job: Any) -> None:
    mine = running(make_job(devices=1))
    devices.acquire(mine)
    Job.objects.filter(pk=mine.pk).update(state="queued", lease_token=None)
    assert devices.free_forgotten() == 1


def test_a_device_in_use_is_not_freed(make_job: Any) -> None:
    devices.acquire(running(make_job(devices=1)))
    assert devices.free_forgotten() == 0
