"""What SFT learns, and what it only reads: masks, turns, packing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import assistant, events, losses, make_run, question, sft_rows, user
from training.engine.errors import EngineError
from training.engine.runner import execute

IGNORED = -100
TALK = [*user("Who carries stones?"), *assistant("The river."), *user("And bread?")]


def sft(root: Path, tiny: Path, rows: list[dict[str, Any]], **settings: Any) -> Path:
    quick = {"dtype": "float32", "lora_r": 0, "learning_rate": 3e-3, "warmup_ratio": 0.0, "max_steps": 1}
    return make_run(
        root,
        "sft",
        models={"base": tiny},
        data={"train": rows},
        settings={**quick, "batch_size": len(rows), **settings},
    )


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> Any:
    from training.engine.models import load_tokenizer

    return load_tokenizer(tiny)


def learned(tokenizer: Any, row: dict[str, Any], *, every_turn: bool = False) -> tuple[str, list[str]]:
    """The whole text of a row, and its learned stretches."""
    from training.engine.turns import label

    done = label(tokenizer, row, every_turn=every_turn)
    assert len(done.ids) == len(done.labels)
    stretches: list[list[int]] = []
    before = IGNORED
    for token, label_ in zip(done.ids, done.labels, strict=True):
        assert label_ in (token, IGNORED)
        if label_ != IGNORED:
            stretches = [*stretches, []] if before == IGNORED else stretches
            stretches[-1].append(token)
        before = label_
    return tokenizer.decode(done.ids), [tokenizer.decode(tokens) for tokens in stretches]


def test_only_the_completion_and_its_end_are_learned(tokenizer: Any) -> None:
    row = {"id": "r", "prompt": TALK, "completion": assistant("A boat.")}
    text, stretches = learned(tokenizer, row)
    assert stretches == ["A boat.<|im_end|>"]
    assert text.startswith(
        "<|im_start|>user\nWho carries stones?<|im_end|>\n<|im_start|>assistant\nThe river.<|im_end|>"
    )


def test_every_turn_learns_the_replies_in_the_prompt_too(tokenizer: Any) -> None:
    row = {"id": "r", "prompt": TALK, "completion": assistant("A boat.")}
    assert learned(tokenizer, row, every_turn=True)[1] == ["The river.<|im_end|>", "A boat.<|im_end|>"]


def test_nobody_is_taught_to_speak_for_the_user(tokenizer: Any) -> None:
    """A completion of three messages, and a user's last word that no reply follows."""
    completion = [*assistant("Bread."), *user("Sure?"), *assistant("Yes."), *user("Thanks.")]
    text, stretches = learned(tokenizer, {"id": "r", "prompt": user("What?"), "completion": completion})
    assert stretches == ["Bread.<|im_end|>", "Yes.<|im_end|>"]
    assert text.endswith("Yes.<|im_end|>")


def test_turns_are_tokenized_as_the_template_writes_them(tokenizer: Any) -> None:
    row = {"id": "r", "prompt": TALK, "completion": assistant("A boat.")}
    written = tokenizer.apply_chat_template([*TALK, *assistant("A boat.")], tokenize=False)
    assert learned(tokenizer, row, every_turn=True)[0] == written.removesuffix("\n")


def test_a_completion_without_a_reply_is_refused(tokenizer: Any) -> None:
    from training.engine.turns import label

    with pytest.raises(EngineError, match="r7 has no assistant message") as refused:
        label(tokenizer, {"id": "r7", "prompt": user("What?"), "completion": user("Nothing.")}, every_turn=False)
    assert refused.value.code == "bad_row"


def test_a_template_without_ends_cannot_teach_earlier_turns(tokenizer: Any) -> None:
    """Sampling would stop where such a conversation goes on."""
    import copy

    from training.engine.turns import label

    endless = copy.copy(tokenizer)
    endless.chat_template = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    row = {"id": "r", "prompt": TALK, "completion": assistant("A boat.")}
    assert label(endless, row, every_turn=False).ids[-1] == tokenizer.eos_token_id
    with pytest.raises(EngineError, match="without the EOS"):
        label(endless, row, every_turn=True)


def test_the_first_loss_is_that_of_the_completion_alone(tmp_path: Path, tiny: Path, tokenizer: Any) -> None:
    """The run's loss = minus the base's mean log-probability of the completion tokens, EOS included, over all rows."""
    import torch

    from training.engine.models import load_causal
    from training.engine.rows import encode
    from training.engine.scoring import log_probabilities

    rows = sft_rows(6)
    run = sft(tmp_path / "run", tiny, rows)
    assert execute(run)["state"] == "succeeded"
    encoded = [encode(tokenizer, row["prompt"], row["completion"]) for row in rows]
    model = load_causal(tiny, torch.float32).eval()
    values = [value for row in log_probabilities(model, encoded, tokenizer.pad_token_id, 3) for value in row]
    assert losses(run)[1] == pytest.approx(-sum(values) / len(values), abs=1e-4)


def test_packed_rows_learn_as_they_do_apart(tmp_path: Path, tiny: Path) -> None:
    """12 rows of different lengths in fewer rows of 128 tokens: the same losses before, after one and after two steps.

    Attention from one into another, positions that ran on, or a predicted first token would each change them.
    """
    rows = sft_rows(12)
    for number, row in enumerate(rows):
        row["completion"] = assistant("bread " * (1 + 3 * number))
    apart, together = (sft(tmp_path / name, tiny, rows, max_steps=3, max_length=128) for name in ("apart", "together"))
    whole = execute(apart)
    spec = together / "spec.json"
    spec.write_text(spec.read_text().replace('"batch_size": 12', '"batch_size": 12, "packing": true'))
    packed = execute(together)
    found = [row for row in events(together, "phase") if row["name"] == "packed"]
    assert found[0]["rows"] == 12
    assert 1 < found[0]["packed_rows"] < 8
    assert losses(together) == pytest.approx(losses(apart), abs=2e-5)
    assert whole["state"] == packed["state"] == "succeeded"
    assert losses(apart)[3] < losses(apart)[1] - 0.1


def test_a_cut_row_keeps_what_is_left_to_learn(tokenizer: Any) -> None:
    from training.engine.turns import label, within

    talk = {"id": "r", "prompt": question(1), "completion": assistant("bread " * 50)}
    row = label(tokenizer, talk, every_turn=False)
    prompt = row.labels.count(IGNORED)
    kept, counts = within([row], prompt + 4, "truncate")
    assert kept[0].labels == row.labels[: prompt + 4]
    assert counts == {"rows": 1, "rows_dropped": 0, "rows_truncated": 1}
    assert within([row], prompt, "truncate")[1]["rows_dropped"] == 1
    assert within([row], prompt + 4, "drop")[1]["rows_dropped"] == 1
