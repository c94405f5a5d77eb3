"""From the engine's rows to numbers with their intervals."""

import subprocess
import sys
from pathlib import Path

import pytest

from models_registry.models import Evaluation
from models_registry.services import record_verdict
from tests.factories import make_prompt
from tests.training.conftest import finish
from training.engine.files import write_jsonl
from training.evaluations import measured, of_pairs, of_samples


def pair(number, chosen, rejected, chosen_length=10, rejected_length=10):
    return {
        "id": f"p{number}",
        "chosen": {"reward": chosen, "tokens": 3, "characters": chosen_length},
        "rejected": {"reward": rejected, "tokens": 3, "characters": rejected_length},
    }


def sample(model, prompt, reward, tokens=5):
    return {
        "model": model,
        "prompt_id": prompt,
        "sample": 0,
        "reward": reward,
        "completion_tokens": tokens,
        "characters": 4 * tokens,
    }


def test_accuracy_stands_beside_that_of_length():
    """Four pairs on four prompts: the reward orders three right, length two and one tie: 0.75 and (2 + 0.5) / 4."""
    rows = [pair(1, 2, 1, 9, 5), pair(2, 2, 1, 9, 5), pair(3, 2, 1, 5, 5), pair(4, 1, 2, 5, 9)]
    found = of_pairs(rows, {f"p{n}": f"prompt {n}" for n in range(1, 5)})
    assert (found["reward_accuracy"]["estimate"], found["length_baseline"]["estimate"]) == (0.75, 0.625)
    assert found["reward_accuracy"]["low"] < 0.75 < found["reward_accuracy"]["high"]


def test_pairs_of_one_prompt_are_one_cluster():
    """Three pairs, two of them on one prompt."""
    found = of_pairs([pair(1, 2, 1), pair(2, 2, 1), pair(3, 1, 2)], {"p1": "a", "p2": "a", "p3": "b"})
    assert found["reward_accuracy"]["clusters"] == (2,)


def test_a_pair_that_was_too_long_to_score_is_left_out():
    found = of_pairs([pair(1, 2, 1), pair(2, None, None)], {"p1": "a", "p2": "b"})
    assert found["reward_accuracy"]["n"] == 1


def test_the_win_rate_counts_ties_as_half():
    """Of four prompts the policy wins two, ties one, loses one: (2 + 0.5) / 4."""
    policy = [sample("policy", prompt, reward) for prompt, reward in zip("abcd", (2, 2, 1, 0), strict=True)]
    baseline = [sample("baseline", prompt, 1, tokens=8) for prompt in "abcd"]
    found = of_samples(policy + baseline)
    rate = found["win_rate"]
    assert (rate["estimate"], rate["wins"], rate["ties"], rate["losses"]) == (0.625, 2, 1, 1)
    assert rate["enough"] is False, "four prompts are too few to tell"
    assert found["length"] == {
        "policy": {"tokens": 5, "characters": 20},
        "baseline": {"tokens": 8, "characters": 32},
    }


def test_without_a_baseline_there_is_no_win_rate():
    assert of_samples([sample("policy", "a", 1)]) == {}


def test_what_was_not_measured_is_absent(tmp_path):
    found = measured(tmp_path, {"kl_token_k3": 0.25, "pairs_dropped": 0, "policy/prompts_dropped": 2})
    assert found == {"kl": {"token_k3": 0.25}, "dropped": {"policy/prompts_dropped": 2}}


@pytest.fixture
def evaluated(cast, start, base, make_model, make_snapshot):
    """Nine held-out prompts, the policy better on all of them; two held-out pairs."""
    prompts = [make_prompt(cast.project, held_out=True).public_id for _ in range(9)]
    judge, tuned = make_model("reward", "judge"), make_model(name="tuned", model=base.model)
    run = start("evaluate", base=tuned, baseline=base, reward=judge, snapshot=make_snapshot(preference_test=2))
    folder = Path(run.folder)
    write_jsonl(folder / "data" / "test.jsonl", [{"id": f"p{n}", "prompt": [str(n)]} for n in (1, 2)])
    write_jsonl(folder / "output" / "pairs.jsonl", [pair(1, 2, 1), pair(2, 2, 1)])
    samples = [
        sample(model, prompt, reward) for model, reward in (("policy", 1), ("baseline", 0)) for prompt in prompts
    ]
    write_jsonl(folder / "output" / "rewards.jsonl", samples)
    return run


@pytest.mark.django_db
def test_an_evaluation_is_recorded_once_with_its_judge(evaluated):
    results = [finish(evaluated, {"state": "succeeded", "metrics": {"kl_token_k3": 0.1}}) for _ in range(2)]
    evaluation = Evaluation.objects.get(job=evaluated.job)
    assert {result["evaluation"] for result in results} == {evaluation.public_id}
    assert evaluation.judge == evaluated.job.spec["models"]["reward_model"]
    assert evaluation.metrics["kl"] == {"token_k3": 0.1}
    assert evaluation.spec["prompts"]["count"] == 9
    assert (evaluation.version, evaluation.baseline.public_id) == (
        evaluated.base,
        evaluated.job.spec["models"]["baseline"],
    )


@pytest.mark.django_db
def test_a_verdict_can_be_made_on_it(cast, evaluated):
    """Nine wins of nine prompts: the Clopper-Pearson lower bound 0.025 ** (1 / 9) = 0.664 is above one half."""
    finish(evaluated, {"state": "succeeded", "metrics": {}})
    evaluation = Evaluation.objects.get(job=evaluated.job)
    assert evaluation.metrics["win_rate"]["low"] == pytest.approx(0.025 ** (1 / 9))
    verdict = record_verdict(actor=cast.mona, project=cast.project, evaluation=evaluation)
    assert verdict.outcome == "better"


def test_starting_the_floor_imports_neither_torch_nor_numpy():
    program = (
        "import django, sys; django.setup(); import training.api, training.loop; "
        "print([name for name in ('torch', 'numpy', 'scipy', 'transformers') if name in sys.modules])"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "config.settings_test", "PATH": ""}
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert found.stdout.strip() == "[]", found.stderr
