"""What is wanted runs; what dies comes back or says why; what is not wanted ends."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from models_registry.gateway.store import route
from models_registry.models import Deployment
from models_registry.services import deploy, stop_deployment
from models_registry.serving import servers
from models_registry.serving.manager import AnotherManager, Manager, Rhythm
from tests.factories import make_version
from tests.models_registry.kit import FakeBackend, command, until

pytestmark = [pytest.mark.django_db, pytest.mark.store]
FAKE = Path(__file__).with_name("fake_transformers.py")
QUICK = Rhythm(round=0.05, health=0.1, health_timeout=0.5, grace=2, outside=0.1, longest_backoff=0.1, missed_limit=2)


@pytest.fixture(autouse=True)
def serving(settings: Any, tmp_path: Path) -> Path:
    settings.SERVE_TRANSFORMERS = str(FAKE)
    settings.SERVING = tmp_path / "serving"
    return settings.SERVING


@pytest.fixture
def manager() -> Iterator[Manager]:
    with Manager(QUICK) as found:
        yield found


@pytest.fixture
def wanted(cast: Any, model: Any, tmp_path: Path) -> Callable[..., Deployment]:
    """`wanted(**ways)`: a wanted deployment of a new version whose server goes wrong in those ways."""

    def want(**ways: Any) -> Deployment:
        folder = tmp_path / f"artifact-{model.versions.count()}"
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "fake.json").write_text(json.dumps(ways))
        (folder / "generation_config.json").write_text('{"top_p": 0.9, "do_sample": false}')
        version = make_version(model=model, artifact=str(folder))
        return deploy(actor=cast.mona, project=cast.project, version=version, backend="transformers")

    return want


def rounds_until(manager: Manager, true: Callable[[], Any], seconds: float = 30) -> Any:
    def once() -> Any:
        manager.round()
        return true()

    return until(once, seconds)


def state_of(deployment: Deployment) -> str:
    deployment.refresh_from_db()
    return deployment.state


def ready(manager: Manager, deployment: Deployment) -> None:
    rounds_until(manager, lambda: state_of(deployment) == "ready")


def test_a_wanted_deployment_becomes_ready_and_the_gateway_finds_it(
    manager: Manager, wanted: Any, cast: Any, serving: Path
) -> None:
    deployment = wanted()
    ready(manager, deployment)
    found = route(cast.project, "assistant@1")
    assert (found.deployment, found.remote_model) == (deployment.public_id, "./model")
    assert psutil.pid_exists(deployment.process["pid"])
    assert deployment.heartbeat_at is not None
    warmed = json.loads((serving / deployment.public_id / "seen.json").read_text())
    assert warmed[0]["max_tokens"] == 1


def test_sampling_is_on_and_the_artifact_untouched(manager: Manager, wanted: Any, serving: Path) -> None:
    deployment = wanted()
    ready(manager, deployment)
    served = json.loads((serving / deployment.public_id / "model" / "generation_config.json").read_text())
    assert served == {"top_p": 0.9, "do_sample": True}
    assert "false" in (Path(deployment.version.artifact) / "generation_config.json").read_text()


def test_a_server_is_offline_and_learns_no_secret(
    manager: Manager, wanted: Any, serving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://a:secret@b/c")
    monkeypatch.setenv("PLUMBLINE_SECRET_KEY", "secret")
    deployment = wanted()
    ready(manager, deployment)
    own = json.loads((serving / deployment.public_id / "environment.json").read_text())
    assert own["HF_HUB_OFFLINE"] == "1"
    assert Path(own["HF_HUB_CACHE"]).is_dir()
    assert "DATABASE_URL" not in own
    assert "PLUMBLINE_SECRET_KEY" not in own


def test_a_server_that_is_killed_comes_back(manager: Manager, wanted: Any) -> None:
    deployment = wanted()
    ready(manager, deployment)
    before = deployment.process["pid"]
    psutil.Process(before).kill()
    rounds_until(manager, lambda: state_of(deployment) == "starting")
    ready(manager, deployment)
    assert deployment.process["pid"] != before


def test_a_server_that_is_frozen_is_replaced(cast: Any, wanted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with Manager(QUICK) as manager:
        deployment = wanted()
        ready(manager, deployment)
        before = deployment.process["pid"]
        psutil.Process(before).suspend()
        rounds_until(manager, lambda: state_of(deployment) == "starting", 60)
        ready(manager, deployment)
        assert deployment.process["pid"] != before


def test_a_server_that_cannot_start_fails_with_the_end_of_its_log(manager: Manager, wanted: Any) -> None:
    deployment = wanted(die="no such architecture: Lama")
    rounds_until(manager, lambda: state_of(deployment) == "failed")
    assert "no such architecture: Lama" in deployment.error
    assert deployment.process == {}


def test_a_failed_deployment_is_tried_again_when_asked(manager: Manager, wanted: Any, cast: Any) -> None:
    deployment = wanted(die="once")
    rounds_until(manager, lambda: state_of(deployment) == "failed")
    (Path(deployment.version.artifact) / "fake.json").write_text("{}")
    again = deploy(actor=cast.mona, project=cast.project, version=deployment.version, backend="transformers")
    assert again.pk != deployment.pk
    ready(manager, again)


def test_a_missing_program_fails_with_what_to_install(manager: Manager, wanted: Any, settings: Any) -> None:
    settings.SERVE_TRANSFORMERS = "no-such-program"
    deployment = wanted()
    rounds_until(manager, lambda: state_of(deployment) == "failed")
    assert "pip install 'transformers[serving]'" in deployment.error


def test_vllm_without_its_program_fails_with_what_to_install(
    manager: Manager, cast: Any, wanted: Any, settings: Any
) -> None:
    settings.SERVE_VLLM = "no-such-vllm"
    version = wanted().version
    deployment = deploy(actor=cast.mona, project=cast.project, version=version, backend="vllm")
    rounds_until(manager, lambda: state_of(deployment) == "failed")
    assert "pip install 'vllm'" in deployment.error


def test_missing_files_fail_at_once(manager: Manager, cast: Any, model: Any) -> None:
    version = make_version(model=model, artifact="/nowhere/at/all")
    deployment = deploy(actor=cast.mona, project=cast.project, version=version, backend="transformers")
    manager.round()
    assert state_of(deployment) == "failed"


def test_what_is_no_longer_wanted_ends(manager: Manager, wanted: Any, cast: Any) -> None:
    deployment = wanted()
    ready(manager, deployment)
    pid = deployment.process["pid"]
    stop_deployment(actor=cast.mona, deployment=deployment)
    rounds_until(manager, lambda: state_of(deployment) == "stopped")
    assert not psutil.pid_exists(pid)


def test_only_so_many_run_at_once(manager: Manager, wanted: Any, cast: Any, settings: Any) -> None:
    settings.SERVE_MOST = 1
    first, second = wanted(), wanted()
    ready(manager, first)
    rounds_until(manager, lambda: state_of(second) == "starting" and "make room" in second.error)
    stop_deployment(actor=cast.mona, deployment=first)
    ready(manager, second)


def test_leaving_stops_every_server_and_says_so(wanted: Any) -> None:
    deployment = wanted()
    with Manager(QUICK) as manager:
        ready(manager, deployment)
        pid = deployment.process["pid"]
    assert not psutil.pid_exists(pid)
    assert (state_of(deployment), deployment.process) == ("starting", {})


def test_there_is_one_manager(manager: Manager) -> None:
    with pytest.raises(AnotherManager), Manager(QUICK):
        pytest.fail("a second manager began")


def test_an_outside_address_is_ready_while_it_answers(manager: Manager, cast: Any) -> None:
    backend = FakeBackend()
    deployment = deploy(
        actor=cast.mona, project=cast.project, backend="url", url=backend.url, remote_model="m", api_key="k"
    )
    ready(manager, deployment)
    backend.models_status = 401
    rounds_until(manager, lambda: state_of(deployment) == "failed")
    assert "key" in deployment.error
    backend.models_status = 200
    ready(manager, deployment)
    backend.shutdown()
    backend.server_close()
    rounds_until(manager, lambda: state_of(deployment) == "failed")
    assert "cannot be reached" in deployment.error


@pytest.mark.django_db(transaction=True)
def test_after_kill_9_a_new_manager_ends_the_orphans_and_starts_afresh(
    wanted: Any, tmp_path: Path, settings: Any
) -> None:
    """The orphan would hold the model's memory for ever; TERM to the new manager leaves nothing behind."""
    own = {"PLUMBLINE_TRANSFORMERS": str(FAKE), "PLUMBLINE_VAR": str(tmp_path / "var")}
    deployment = wanted()
    with command("serve_models", **own) as first:
        until(lambda: state_of(deployment) == "ready", 60)
        orphan = deployment.process["pid"]
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert psutil.pid_exists(orphan)
    with command("serve_models", **own) as second:
        until(lambda: state_of(deployment) == "ready" and deployment.process["pid"] != orphan, 60)
        current = deployment.process["pid"]
        assert not psutil.pid_exists(orphan)
        second.terminate()
        assert second.wait(30) == 0
    assert not psutil.pid_exists(current)
    assert state_of(deployment) == "starting"


def test_a_log_without_lines_is_an_empty_complaint(tmp_path: Path) -> None:
    assert servers.last_lines(tmp_path / "none") == ""
    (tmp_path / "log").write_bytes(b"a\x00\xff\n" * 5000)
    assert len(servers.last_lines(tmp_path / "log").splitlines()) == servers.LOG_LINES


def test_a_free_port_is_free() -> None:
    assert 1024 < servers.free_port() < 65536


@pytest.mark.parametrize("adapter", [True, False])
def test_an_adapter_is_laid_out_so_that_the_server_looks_for_its_base(tmp_path, adapter):
    """transformers takes config.json as the mark of whole weights; without it, it reads adapter_config.json."""
    from types import SimpleNamespace

    from models_registry.serving.servers import lay_out

    artifact = tmp_path / "artifact"
    artifact.mkdir()
    for name in ("config.json", "tokenizer.json", *(["adapter_config.json"] if adapter else [])):
        (artifact / name).write_text("{}")
    lay_out(SimpleNamespace(artifact=str(artifact)), tmp_path / "served")
    found = {path.name for path in (tmp_path / "served").iterdir()}
    assert found == {"tokenizer.json", "generation_config.json", "adapter_config.json" if adapter else "config.json"}
