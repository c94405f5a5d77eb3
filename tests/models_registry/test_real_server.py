"""The real `transformers serve` behind the real gateway, with a real (tiny) model."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from models_registry.models import Completion
from models_registry.services import deploy, move_alias
from tests.factories import make_version
from tests.models_registry.kit import ROOT, command, gateway, until
from tests.models_registry.test_gateway import secret_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.launcher]


def test_a_real_model_answers_through_the_gateway(cast: Any, model: Any, tmp_path: Path) -> None:
    """Deployed, ready, streamed, stored. Two samples differ: without do_sample the server would be greedy."""
    folder = tmp_path / "tiny"
    subprocess.run([sys.executable, "-m", "training.engine.tiny", str(folder)], cwd=ROOT, check=True, timeout=120)
    version = make_version(model=model, artifact=str(folder))
    deployment = deploy(actor=cast.mona, project=cast.project, version=version, backend="transformers")
    move_alias(actor=cast.mona, model=model, name="canary", version=version, expected_generation=0)

    def is_ready() -> bool:
        deployment.refresh_from_db()
        assert deployment.state != "failed", deployment.error
        return deployment.state == "ready"

    with command("serve_models", PLUMBLINE_VAR=str(tmp_path / "var"), OMP_NUM_THREADS="1") as manager:
        until(is_ready, 180)
        with gateway() as (address, _process), httpx.Client(trust_env=False) as transport:
            client = openai.OpenAI(
                base_url=f"{address}/v1", api_key=secret_of(cast.bob), max_retries=0, http_client=transport
            )
            asked: dict[str, Any] = {"model": "assistant@canary", "max_tokens": 12}
            asked["messages"] = [{"role": "user", "content": "Write one sentence about rivers."}]
            answer = client.chat.completions.create(n=2, temperature=1.0, **asked)
            texts = [choice.message.content for choice in answer.choices]
            assert len(set(texts)) == 2
            assert answer.usage.completion_tokens > 0
            streamed, last = "", None
            for chunk in client.chat.completions.create(stream=True, **asked):
                streamed += chunk.choices[0].delta.content or ""
                last = chunk
            assert last is not None
            assert Completion.objects.get(public_id=last.id).text == streamed != ""
        pinned = httpx.post(
            f"{deployment.url}/chat/completions",
            json={"model": str(folder), "messages": asked["messages"]},
            trust_env=False,
        )
        assert pinned.status_code == 400
        manager.terminate()
        assert manager.wait(30) == 0
    assert set(Completion.objects.values_list("version", flat=True)) == {version.pk}
