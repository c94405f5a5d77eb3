"""The details that published PPO for language models depends on, each by its name, and what must change nothing.

Names follow Huang et al. 2023, "The N Implementation Details of RLHF with PPO", and 2024, on TL;DR summarization.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.engine.ppo.trainers import context_of, learn, random_prompts, share_of_small_ids, trainer_of
from training.engine.ppo import maths
from training.engine.ppo.learners import ADAM_EPSILON, Plain
from training.engine.ppo.networks import Choice, Policy, Value, without_dropout
from training.engine.ppo.rollouts import Response, judged, packed, prompt_at
from training.engine.ppo.trainer import Tally, Trainer

PAD, END = 0, 2
ROWS = 16


@pytest.fixture(scope="module")
def language_model(tiny: Path) -> Any:
    from training.engine.models import load_causal

    return load_causal(tiny, torch.float32)


@pytest.fixture
def made(language_model: Any) -> Callable[..., Trainer]:
    """A trainer on a copy of the tiny model; its reward is the share of small ids."""

    def make(score: Any = share_of_small_ids, **settings: Any) -> Trainer:
        model = copy.deepcopy(language_model)
        return trainer_of(model, random_prompts(ROWS), score, (END,), PAD, **settings)

    return make


def forward(trainer: Trainer, rows: list[Response]) -> tuple[list[Tensor], list[Tensor]]:
    """Log-probabilities and values of every response, each cut to its own length."""
    ids, mask, width = packed(rows, PAD, "cpu")
    with torch.no_grad():
        logps, values = trainer.parts.policy.network(ids, mask, width)
        if trainer.parts.critic is not None:
            values = trainer.parts.critic.network(ids, mask, width)
    cut = [slice(0, len(row)) for row in rows]
    pairs = list(enumerate(cut))
    return [logps[row, part] for row, part in pairs], [values[row, part] for row, part in pairs]


def with_a_living_value_head(trainer: Trainer) -> Trainer:
    """A head of zeros would hide every mistake in the positions it reads."""
    owner = trainer.parts.critic.module if trainer.parts.critic else trainer.policy
    nn.init.normal_(owner.value_head.weight, std=0.5, generator=torch.Generator().manual_seed(1))
    return trainer


def equal(found: list[Tensor], wanted: list[Tensor], within: float = 2e-5) -> None:
    assert len(found) == len(wanted) > 0
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=within, rtol=0)


@pytest.mark.parametrize("value_model", ["trunk", "head"])
def test_adjusted_position_ids_make_padding_and_company_change_nothing(
    made: Callable[..., Trainer], value_model: str
) -> None:
    """Rows alone, in threes, and beside a prompt and a response far longer: the same to 2e-5."""
    trainer = with_a_living_value_head(made(value_model=value_model))
    rows = trainer.rollout()
    rows[3].tokens[0] = PAD  # a sampled pad token is an action like any other
    together = forward(trainer, rows)
    alone = [forward(trainer, [row]) for row in rows]
    giant = replace(rows[0], prompt=replace(rows[0].prompt, ids=[5] * 40), tokens=[7] * 30)
    padded = forward(trainer, [*rows, giant])
    for part in (0, 1):
        equal(together[part], [one[part][0] for one in alone])
        equal(together[part], padded[part][:-1])


def test_absolute_positions_count_from_the_prompts_first_token() -> None:
    """GPT-2 learns a vector for every position, so padding would show in it; Llama only sees distances."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(2)
    config = GPT2Config(vocab_size=300, n_embd=32, n_layer=1, n_head=2, n_positions=128, eos_token_id=END)
    model = without_dropout(GPT2LMHeadModel(config))
    nn.init.normal_(model.transformer.wpe.weight, std=1.0)
    trainer = with_a_living_value_head(trainer_of(model, random_prompts(ROWS), share_of_small_ids, (END,), PAD))
    rows = trainer.rollout()
    together, alone = forward(trainer, rows), [forward(trainer, [row]) for row in rows]
    equal([row.policy for row in rows], together[0])
    for part in (0, 1):
        equal(together[part], [one[part][0] for one in alone])


@pytest.mark.parametrize("value_model", ["trunk", "head"])
def test_what_sampling_kept_is_what_a_forward_pass_finds(made: Callable[..., Trainer], value_model: str) -> None:
    """Cached log-probabilities and values, at a temperature and with a forbidden end."""
    trainer = with_a_living_value_head(made(value_model=value_model, temperature=0.7, min_new_tokens=3))
    rows = trainer.rollout()
    logps, values = forward(trainer, rows)
    equal([row.policy for row in rows], logps)
    equal([row.values for row in rows if row.values is not None], values)
    assert all(len(row) >= 3 for row in rows)


@pytest.mark.parametrize("value_model", ["trunk", "head"])
def test_a_value_is_claimed_before_its_action_is_seen(made: Callable[..., Trainer], value_model: str) -> None:
    """Another last token changes its log-probability and no value; another first token changes all values but the first."""
    trainer = with_a_living_value_head(made(value_model=value_model))
    row = trainer.rollout()[0]
    other_last = replace(row, tokens=[*row.tokens[:-1], row.tokens[-1] - 1])
    other_first = replace(row, tokens=[row.tokens[0] - 1, *row.tokens[1:]])
    (plain, last, _first), values = forward(trainer, [row, other_last, other_first])
    assert abs(float(plain[-1] - last[-1])) > 1e-3
    equal([values[1]], [values[0]])
    assert abs(float(values[2][0] - values[0][0])) < 2e-5 < 1e-3 < float((values[2][1:] - values[0][1:]).abs().min())


def test_micro_batches_change_no_gradient(made: Callable[..., Trainer]) -> None:
    """One minibatch of 16 in micro-batches of 16 and of 2: the same gradient, relative 1e-5."""
    found = []
    for micro in (16, 2):
        trainer = with_a_living_value_head(made(micro_batch_size=micro, minibatches=1, value_model="head"))
        batch = judged(trainer.rollout(), 0.05, trainer.settings)
        trainer.parts.policy.step = lambda: 0.0  # type: ignore[method-assign]  # keep the gradient to look at it
        trainer.one_minibatch(batch, batch.responses, Tally(), first=True)
        grads = [value.grad.flatten() for value in trainer.policy.parameters() if value.grad is not None]
        found.append(torch.cat(grads))
    assert float(found[0].norm()) > 1e-3
    assert float((found[0] - found[1]).norm() / found[0].norm()) < 1e-5


def test_a_step_is_the_same_whatever_the_micro_batch(made: Callable[..., Trainer]) -> None:
    """All metrics of two steps, micro-batches of 8 and of 2."""
    runs = [learn(made(micro_batch_size=micro)) for micro in (8, 2)]
    for one, other in zip(*runs, strict=True):
        for name in ("loss", "value_loss", "score", "kl", "entropy", "grad_norm", "value_grad_norm"):
            assert one[name] == pytest.approx(other[name], abs=2e-5), name


def test_logits_are_scaled_by_the_sampling_temperature(made: Callable[..., Trainer]) -> None:
    """In the losses as in sampling: log softmax(z / 0.5), read at the tokens by hand."""
    trainer = made(temperature=0.5)
    row = trainer.rollout()[0]
    with torch.no_grad():
        logits = trainer.policy.language_model(torch.tensor([[*row.prompt.ids, *row.tokens]])).logits[0]
    first = len(row.prompt.ids) - 1
    wanted = (logits[first : first + len(row)] / 0.5).log_softmax(-1).gather(-1, torch.tensor(row.tokens)[:, None])
    equal(forward(trainer, [row])[0], [wanted.squeeze(-1)])


def test_the_end_is_forbidden_for_the_first_tokens_in_sampling_and_in_the_losses() -> None:
    """Three tokens before any end: from token 0 three of five columns, from token 2 one, from token 3 none."""
    choice = Choice(temperature=1.0, ending=(END,), min_new_tokens=3)
    for first, banned in ((0, 3), (2, 1), (3, 0)):
        ends = choice.scaled(torch.zeros(1, 5, 4), first)[0, :, END]
        assert (ends < -1e8).tolist() == [True] * banned + [False] * (5 - banned)


def test_dropout_is_off_so_that_the_first_ratio_is_one(language_model: Any, made: Callable[..., Trainer]) -> None:
    dropping = copy.deepcopy(language_model)
    dropping.model.layers[0].self_attn.attention_dropout = 0.4
    dropping.extra = nn.Dropout(0.4)
    quiet = without_dropout(dropping)
    assert (quiet.extra.p, quiet.model.layers[0].self_attn.attention_dropout) == (0.0, 0.0)
    assert learn(made(max_steps=1))[0]["ratio_error"] < 1e-5


def test_the_alarm_rings_when_sampling_and_losses_disagree(
    made: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, rung = made(), []
    monkeypatch.setattr(trainer.context.log, "emit", lambda kind, **data: rung.append((kind, data.get("name"))))
    rows = [replace(row, policy=row.policy - 0.5) for row in trainer.rollout()]
    trainer.learn(judged(rows, 0.05, trainer.settings))
    assert ("warning", "ratio_before_update") in rung


def test_the_value_head_starts_at_zero(made: Callable[..., Trainer]) -> None:
    for value_model in ("head", "trunk"):
        rows = made(value_model=value_model).rollout()
        assert all(float(row.values.abs().max()) == 0.0 for row in rows if row.values is not None)


def test_adam_has_the_larger_epsilon_and_the_learning_rate_falls_to_zero(made: Callable[..., Trainer]) -> None:
    """Linear over four steps: 1, .75, .5, .25 of the peak."""
    from training.engine.ppo.method import schedule

    trainer = made(max_steps=4)
    assert ADAM_EPSILON == trainer.parts.policy.optimizer.param_groups[0]["eps"] == 1e-5
    assert [schedule(trainer.settings, 4)(step) for step in range(5)] == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_value_and_policy_have_their_own_learning_rates(language_model: Any) -> None:
    context = context_of(value_model="head")
    model = copy.deepcopy(language_model)
    learner = Plain(Policy(model, choice=None, head=True), (1e-3, 5e-3), context)  # type: ignore[arg-type]
    learner.set_rate(0.5)
    rates = {len(group["params"]): group["lr"] for group in learner.optimizer.param_groups}
    assert rates[2] == pytest.approx(2.5e-3), "weight and bias of the head"
    assert sorted(rates.values()) == pytest.approx([5e-4, 2.5e-3])
    assert len(Plain(Value(copy.deepcopy(model.base_model)), (1e-3, 1e-3), context).peaks) == 2


def test_rewards_are_paid_per_token_and_the_score_on_the_end(made: Callable[..., Trainer]) -> None:
    """k1 on every token against a reference made different; score, less the penalty where the end is missing."""
    trainer = made(kl_coefficient=0.5, missing_eos_penalty=2.0)
    rows = [replace(row, reference=row.policy - 0.25) for row in trainer.rollout()]
    rows[0] = replace(rows[0], ended=True)
    rows[1] = replace(rows[1], ended=False)
    batch = judged(rows, 0.5, trainer.settings)
    for number in (0, 1):
        wanted = torch.full((len(rows[number]),), -0.125)
        wanted[-1] += rows[number].score - (0.0 if rows[number].ended else 2.0)
        torch.testing.assert_close(batch.rewards[number, : len(rows[number])], wanted, atol=1e-5, rtol=0)


def test_advantages_are_whitened_over_the_whole_batch_and_rewards_without_the_shift(
    made: Callable[..., Trainer],
) -> None:
    rows = with_a_living_value_head(made()).rollout()
    batch = judged(rows, 0.05, made(whiten_rewards=True).settings)
    mean, variance = maths.moments(batch.advantages, batch.mask)
    assert (mean, variance) == pytest.approx((0.0, 1.0), abs=1e-3)
    plain = judged(rows, 0.05, made().settings)
    assert maths.moments(batch.rewards, batch.mask)[1] == pytest.approx(1.0, abs=1e-3)
    was, now = (maths.moments(one.rewards, one.mask)[0] for one in (plain, batch))
    assert now == pytest.approx(was, abs=1e-4)


def test_the_coefficient_adapts_to_the_target(made: Callable[..., Trainer]) -> None:
    """First step: KL 0, error -1 clipped to -.2, 16 of 64 rows: .1 x (1 - .2 / 4) = .095."""
    trainer = made(kl_coefficient=0.1, kl_target=3.0, kl_horizon=64, max_steps=1)
    learn(trainer)
    assert trainer.state.kl_coefficient == pytest.approx(0.095, abs=1e-6)


def test_every_pass_has_every_prompt_in_a_new_order() -> None:
    """7 prompts, three passes."""
    passes = [[prompt_at(turn * 7 + place, 7, seed=3) for place in range(7)] for turn in range(3)]
    assert all(sorted(one) == list(range(7)) for one in passes)
    assert passes[0] != passes[1] != passes[2]


def test_every_row_of_the_batch_has_random_numbers_of_its_own(made: Callable[..., Trainer]) -> None:
    """One prompt for all rows: ranks draw their rows from one stream, so none repeats another's."""
    trainer = made()
    trainer.prompts = trainer.prompts[:1]
    rows = trainer.rollout()
    assert len({tuple(row.tokens) for row in rows}) == len(rows)


def test_passes_end_early_once_the_policy_has_moved(made: Callable[..., Trainer]) -> None:
    assert learn(made(update_epochs=4, update_kl_limit=1e-9, max_steps=1))[0]["passes"] == 1
    assert learn(made(update_epochs=4, update_kl_limit=1e9, max_steps=1))[0]["passes"] == 4


def test_a_score_that_is_no_number_stops_the_run_by_name(made: Callable[..., Trainer]) -> None:
    from training.engine.errors import EngineError

    with pytest.raises(EngineError, match="gave nan to a response to prompt") as refused:
        learn(made(lambda rows: [float("nan")] * len(rows)))
    assert refused.value.code == "non_finite_score"


def test_a_policy_that_ran_away_stops_the_run(made: Callable[..., Trainer]) -> None:
    from training.engine.errors import EngineError

    with pytest.raises(EngineError, match="nats per response away") as refused:
        learn(made(kl_coefficient=0.0, kl_ceiling=0.5, learning_rate=3e-2, max_steps=12))
    assert refused.value.code == "kl_ceiling"
