"""What is known of a run before it starts, against counts made by hand and against what training really does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import ROOT, assistant, make_run, preference_rows, sft_rows, user
from training.engine.files import write_jsonl
from training.engine.preflight.estimate import Hardware, Work, memory, operations, steps_of
from training.engine.preflight.limits import level, wilson_low
from training.engine.preflight.report import report
from training.engine.preflight.sequences import READERS
from training.engine.preflight.size import Size, size_of
from training.engine.spec import parse


def look(root: Path, tiny: Path, method: str, rows: list[dict[str, Any]], **settings: Any) -> dict[str, Any]:
    make_run(root, method, models={"base": tiny}, data={"train": rows}, settings=settings)
    return report(root)


def found(value: dict[str, Any]) -> dict[str, tuple[int, int, str]]:
    return {row["code"]: (row["count"], row["of"], row["level"]) for row in value["findings"]}


def pair(name: str, ask: str, chosen: str, rejected: str) -> dict[str, Any]:
    return {"id": name, "prompt": user(ask), "chosen": assistant(chosen), "rejected": assistant(rejected)}


def test_faulty_pairs_are_counted_by_kind(tiny: Path, tmp_path: Path) -> None:
    """Six rows: one whole, one with both sides alike, its turn-about, a copy, one with EOS in a text, one held out."""
    rows = [
        pair("whole", "River?", "The old train.", "No."),
        pair("alike", "Boat?", "A lamp.", "a  LAMP."),
        pair("turned", "River?", "No.", "The old train."),
        pair("copy", "River?", "The old train.", "no."),
        pair("control", "Lamp?", "Stop<|im_end|> here.", "No."),
        pair("held", "Bread?", "Warm bread.", "No."),
    ]
    root = tmp_path / "run"
    write_jsonl(root / "data" / "held_out.jsonl", [{"id": "t", "prompt": user("bread?")}])
    (root / "preflight-request.json").write_text(json.dumps({"held_out": "data/held_out.jsonl"}))
    value = look(root, tiny, "dpo", rows, max_length=64)
    counts = found(value)
    assert counts["identical"] == (1, 6, "block")
    assert counts["contradictory"] == (2, 6, "block"), "the copy contradicts the turn-about too"
    assert counts["duplicates"] == (1, 6, "warn")
    assert counts["control_tokens"] == (1, 6, "block")
    assert counts["leaked"] == (1, 6, "block")
    named = {row["code"]: row["rows"] for row in value["findings"]}
    assert (named["identical"], named["contradictory"], named["duplicates"]) == (
        ["alike"],
        ["turned", "copy"],
        ["copy"],
    )
    assert (named["leaked"], named["control_tokens"]) == (["held"], ["control"])
    assert value["verdict"] == "block"


@pytest.mark.parametrize("overlong", ["drop", "truncate"])
def test_what_is_dropped_or_cut_is_what_training_drops_or_cuts(tiny: Path, tmp_path: Path, overlong: str) -> None:
    from training.engine.models import load_tokenizer
    from training.engine.turns import label, within

    rows = sft_rows(10)
    rows[3]["completion"] = assistant("bright stones " * 30)
    rows[7]["prompt"] = user("warm bread " * 40)
    tokenizer = load_tokenizer(tiny)
    kept, counts = within([label(tokenizer, row, every_turn=False) for row in rows], 60, overlong)
    value = look(tmp_path / "run", tiny, "sft", rows, max_length=60, overlong=overlong)
    assert value["rows"] == {
        "read": 10, "kept": len(kept), "dropped": counts["rows_dropped"], "truncated": counts["rows_truncated"],
    }  # fmt: skip
    assert value["rows"]["dropped"] == (2 if overlong == "drop" else 1)
    assert found(value)["no_eos"][0] == counts["rows_truncated"], "what is cut has lost its end"
    assert value["tokens"]["spread"]["whole"]["sum"] == sum(len(row) for row in kept)


def test_learned_tokens_are_those_that_have_labels_in_training(tiny: Path, tmp_path: Path) -> None:
    from training.engine.models import load_tokenizer
    from training.engine.turns import IGNORED, label

    rows = sft_rows(3)
    value = look(tmp_path / "run", tiny, "sft", rows)
    tokenizer = load_tokenizer(tiny)
    for row, example in zip(rows, value["examples"], strict=True):
        labels = label(tokenizer, row, every_turn=False).labels
        shown = example["sequences"][0]["tokens"]
        assert [learned for _text, learned, _control in shown] == [label != IGNORED for label in labels]
        assert shown[-1] == ["<|im_end|>", True, True], "the EOS is learned"
        assert row["completion"][0]["content"] in "".join(text for text, learned, _control in shown if learned)


def test_a_reward_model_learns_from_the_last_token_alone(tiny: Path, tmp_path: Path) -> None:
    value = look(tmp_path / "run", tiny, "reward", preference_rows(2))
    for sequence in (one for example in value["examples"] for one in example["sequences"]):
        assert [learned for _text, learned, _control in sequence["tokens"]] == [False] * (sequence["length"] - 1) + [
            True
        ]


def test_a_template_that_writes_bos_twice_is_found(tiny: Path, tmp_path: Path) -> None:
    from training.engine.models import load_tokenizer

    tokenizer = load_tokenizer(tiny)
    tokenizer.chat_template = "{{ bos_token }}" + tokenizer.chat_template
    model = tmp_path / "twice"
    tokenizer.save_pretrained(model)
    for name in ("config.json", "model.safetensors"):
        (model / name).symlink_to(tiny / name)
    value = look(tmp_path / "run", model, "sft", sft_rows(4))
    assert found(value)["double_bos"] == (4, 4, "block")
    plain = look(tmp_path / "plain", tiny, "sft", sft_rows(4))
    assert found(plain)["double_bos"] == (0, 4, "ok")
    assert value["tokenizer"]["template"] != plain["tokenizer"]["template"]


def test_few_longer_answers_prove_nothing() -> None:
    """Wilson at 4 of 4: (1 + 3.8416/8 - 1.96·sqrt(3.8416/64)) / (1 + 3.8416/4) = 1 / 1.9604 = 0.5101; at 24 of 24 0.8620."""
    assert wilson_low(4, 4) == pytest.approx(0.5101, abs=1e-4)
    assert wilson_low(24, 24) == pytest.approx(0.8620, abs=1e-4)
    assert (level("chosen_longer", 4, 4), level("chosen_longer", 24, 24)) == ("ok", "warn")


def test_limits_are_reached_not_only_passed() -> None:
    assert [level("dropped", count, 10) for count in (0, 1)] == ["ok", "block"]
    assert [level("dropped", count, 100) for count in (1, 9, 10)] == ["warn", "warn", "block"]
    assert level("dropped", 0, 0) == "ok"


def test_a_model_is_measured_without_reading_its_weights(tiny: Path) -> None:
    """Tied embeddings are stored once: 451 x 128 of them; 4 layers of 4 attention and 3 feed-forward matrices; 9 norms."""
    layer = 128 * 128 * 2 + 64 * 128 * 2 + 3 * 432 * 128
    size = size_of(tiny)
    assert size.parameters == 451 * 128 + 4 * layer + 9 * 128
    assert (len(size.linear), size.layers, size.hidden, size.key_value, size.vocabulary) == (28, 4, 128, 64, 451)


def test_adapters_are_counted_as_peft_makes_them(tiny: Path) -> None:
    import torch
    from peft import get_peft_model

    from training.engine import models
    from training.engine.hyperparameters.offline import SFT

    wrapped = get_peft_model(models.load_causal(tiny, torch.float32), models.lora_config(SFT(lora_r=8), "CAUSAL_LM"))
    made = sum(weight.numel() for weight in wrapped.parameters() if weight.requires_grad)
    assert size_of(tiny).adapters(8) == made


def spec(method: str = "sft", parallelism: dict[str, Any] | None = None, **settings: Any) -> Any:
    return parse(
        {
            "schema_version": 1,
            "run": "r",
            "method": method,
            "base": {"path": "/b"},
            "data": {"train": {"path": "t"}},
            "hyperparameters": {"dtype": "bfloat16", "lora_r": 0, **settings},
            "parallelism": parallelism or {},
        }
    )


MODEL = Size(1000, ((10, 10),), layers=2, hidden=10, intermediate=40, key_value=10, vocabulary=100)
READ = Work(rows=16, tokens=160, longest=20, sides=1)
GPU = Hardware("gpu", "NVIDIA H200", 2, 1000)


@pytest.mark.parametrize(
    ("stage", "states"),
    [(0, 2000 + 2000 + 12000), (1, 2000 + 6000 + 6000), (2, 2000 + 3000 + 6000), (3, 1000 + 3000 + 6000)],
)
def test_zero_shares_out_what_it_says(stage: int, states: int) -> None:
    """1000 parameters on two ranks in bfloat16: 2 bytes of weights, 2 of gradients (and 4 of their float32 sum), 12 of states."""
    parts = memory(spec(parallelism={"world_size": 2, "zero_stage": stage}), MODEL, READ, GPU)
    assert parts["weights"] + parts["gradients"] + parts["optimizer"] == states


def test_activations_by_hand() -> None:
    """Micro-batch 8 of 20 tokens: 160 x (2 layers x (80 + 20 + 160) x 2 bytes + 100 logits x 10 bytes) = 160 x 2040."""
    assert memory(spec(), MODEL, READ, GPU)["activations"] == 160 * 2040
    assert memory(spec(lora_r=2), MODEL, READ, GPU)["activations"] == 160 * (2040 + 10 * 2), (
        "the adapted layer's outputs"
    )
    lean = memory(spec(activation_checkpointing=True), MODEL, READ, GPU)["activations"]
    assert lean == 160 * (2 * 10 * 2 + 260 * 2 + 1000)
    large = replace(MODEL, parameters=10**9)
    assert memory(spec(), large, READ, GPU)["activations"] == lean, "from a billion parameters on"
    assert memory(spec(activation_checkpointing=False), large, READ, GPU)["activations"] == 160 * 2040


def test_operations_and_steps_by_hand() -> None:
    """Full: 4 x 1000 + 2 x 1000. LoRA of rank 2 on one 10 x 10 layer trains 40: 4 x 1000 + 80. DPO's reference: 2000 more."""
    assert operations(spec(), MODEL) == 6000
    assert operations(spec(lora_r=2), MODEL) == 4080
    assert operations(spec("dpo", lora_r=2), MODEL) == 6080
    assert steps_of(spec(batch_size=8, epochs=1.5), 20) == 5  # three batches an epoch, the last with four rows


def test_it_runs_by_hand_without_torch_and_says_what_is_wrong(tiny: Path, tmp_path: Path) -> None:
    """A folder named torch that raises stands first on the path: whoever imports it fails."""
    (tmp_path / "shadow" / "torch").mkdir(parents=True)
    (tmp_path / "shadow" / "torch" / "__init__.py").write_text("raise SystemExit('torch was imported')")
    good, bad = tmp_path / "good", tmp_path / "bad"
    make_run(good, "sft", models={"base": tiny}, data={"train": sft_rows(2)})
    make_run(bad, "sft", models={"base": tiny}, data={"train": [{"id": "x", "prompt": user("Hi")}]})
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path / 'shadow'}:{ROOT}"}
    codes = [
        subprocess.run([sys.executable, "-m", "training.engine.preflight", root], env=environment, cwd=ROOT).returncode
        for root in (good, bad)
    ]
    assert codes == [0, 1]
    assert json.loads((good / "preflight.json").read_text())["rows"]["kept"] == 2
    error = json.loads((bad / "preflight.json").read_text())["error"]
    assert (error["class"], error["message"]) == (
        "bad_row",
        "data/train.jsonl line 1: completion must be a list of messages.",
    )


def test_prompts_without_room_for_a_response_are_dropped(tiny: Path, tmp_path: Path) -> None:
    rows = [{"id": "short", "messages": user("Bread?")}, {"id": "long", "messages": user("warm bread " * 40)}]
    root = make_run(
        tmp_path / "run", "ppo", models={"base": tiny, "reward_model": tiny}, data={"prompts": rows},
        settings={"max_length": 40, "max_new_tokens": 16},
    )  # fmt: skip
    value = report(root)
    assert found(value)["dropped"] == (1, 2, "block")
    assert next(row["rows"] for row in value["findings"] if row["code"] == "dropped") == ["long"]
    assert not any(learned for _text, learned, _control in value["examples"][0]["sequences"][0]["tokens"])
    assert value["estimate"]["memory_mb"]["judge"] > 0
    assert value["estimate"]["seconds"] is None, "its time is that of writing, which nobody counted"


def test_labels_are_balanced_and_texts_agree(tiny: Path, tmp_path: Path) -> None:
    """Four texts that people decided, three of them kind; the second comes again with another label, one is cut, one undecided."""
    said = [("a", "Warm bread.", ["kind"]), ("b", "Get lost.", ["rude"]), ("c", "get  LOST.", ["kind"])]
    said += [("d", "bright stones " * 30, ["kind"]), ("e", "Hm.", None)]
    rows = [
        {
            "id": name, "question": "tone", "options": ["kind", "rude"], "text": text,
            "holds": None if labels is None else {"labels": labels},
        }
        for name, text, labels in said
    ]  # fmt: skip
    value = look(tmp_path / "run", tiny, "classify", rows, max_length=40)
    counts = found(value)
    assert counts["largest_label"] == (3, 4, "ok")
    assert counts["contradictory"] == (1, 4, "block")
    assert counts["text_cut"] == (1, 4, "warn")
    assert counts["duplicates"] == (0, 4, "ok")
    assert value["labels"] == {"kind": 3, "rude": 1}
    one_sided = look(tmp_path / "same", tiny, "classify", [row for row in rows if row["id"] in "ad"], max_length=200)
    assert found(one_sided)["largest_label"] == (2, 2, "block")


def test_every_reader_reads_a_method_that_exists() -> None:
    from training.engine.methods import METHODS

    assert READERS
    assert {role for role, _kind, _reader in READERS.values()} <= {"train", "prompts", "texts"}
    for method, (role, _kind, _reader) in READERS.items():
        assert role in METHODS[method].data, method


def test_an_encoder_decoder_is_read_in_its_two_halves(seq2seq: Path, tmp_path: Path) -> None:
    """max_length holds for each: the long prompt is cut with its end kept, the short answer stays as it is."""
    from training.engine.apart import encoded
    from training.engine.models import load_plain_tokenizer
    from training.engine.spec import load

    rows = [*sft_rows(4), {"id": "long", "prompt": user("bread " * 60), "completion": assistant("No.")}]
    value = look(tmp_path / "run", seq2seq, "sft", rows, max_length=40, overlong="truncate", lora_r=0)
    kept, counts = encoded(load_plain_tokenizer(seq2seq), rows, load(tmp_path / "run" / "spec.json").hyperparameters)
    spread = value["tokens"]["spread"]
    assert spread["prompt"]["sum"] == sum(len(row["input_ids"]) for row in kept)
    assert spread["completion"]["sum"] == value["tokens"]["learned"] == sum(len(row["labels"]) for row in kept)
    assert found(value)["truncated"][0] == counts["rows_truncated"] == 1
    assert found(value)["no_eos"] == (0, 5, "ok"), "what is cut keeps its EOS"
    source, answer = value["examples"][0]["sequences"]
    assert not any(learned for _text, learned, _control in source["tokens"])
    assert all(learned for _text, learned, _control in answer["tokens"])
    assert source["tokens"][-1][2]
    assert answer["tokens"][-1][2]
    assert value["tokenizer"]["template"] == "", "T5 has none"


def test_both_halves_of_an_encoder_decoder_need_memory_and_time(seq2seq: Path, tmp_path: Path) -> None:
    short = {"id": "a", "prompt": user("Bread?"), "completion": assistant("Warm bread.")}
    reads, writes = {**short, "prompt": user("bread " * 40)}, {**short, "completion": assistant("bread " * 40)}
    needs = [
        look(tmp_path / name, seq2seq, "sft", [row] * 2, lora_r=0, dtype="float32")["estimate"]
        for name, row in (("short", short), ("reads", reads), ("writes", writes))
    ]
    plain, reading, writing = (one["memory_mb"]["activations"] for one in needs)
    assert plain < reading < writing, "what is written goes through the output layer too"
    assert needs[0]["tokens"] < min(needs[1]["tokens"], needs[2]["tokens"])
    assert all(one["seconds"] for one in needs)


def test_a_t5_is_measured_as_it_is(seq2seq: Path) -> None:
    import torch
    from peft import get_peft_model

    from training.engine import models
    from training.engine.hyperparameters.offline import SFT

    model = models.load_seq2seq(seq2seq, torch.float32)
    size = size_of(seq2seq)
    assert size.parameters == model.num_parameters()
    own = {id(weight) for weight in model.shared.parameters()}
    assert size.encoder == sum(weight.numel() for weight in model.encoder.parameters() if id(weight) not in own)
    assert (size.layers, size.encoder_layers, size.key_value) == (2, 2, 96)
    wrapped = get_peft_model(model, models.lora_config(SFT(lora_r=8), "SEQ_2_SEQ_LM"))
    assert size.adapters(8) == sum(weight.numel() for weight in wrapped.parameters() if weight.requires_grad)


@pytest.mark.parametrize("settings", [{"packing": True}, {"learn": "every_turn"}])
def test_what_an_encoder_decoder_cannot_do_is_said_before_a_device_is_taken(
    seq2seq: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    from training.engine.errors import EngineError

    with pytest.raises(EngineError) as refused:
        look(tmp_path / "run", seq2seq, "sft", sft_rows(2), **settings)
    assert refused.value.code == "not_for_seq2seq"


def test_raw_text_is_learned_whole_and_what_is_kept_out_is_not_read(tiny: Path, tmp_path: Path) -> None:
    """Ten texts, one empty, one with EOS in it, one twice; a fifth of the nine different ones is kept out."""
    texts = [f"Text number {at}, of bread." for at in range(7)] + [
        "",
        "Stop<|im_end|> here.",
        "Text number 0, of bread.",
    ]
    rows = [{"id": f"x{at}", "text": text} for at, text in enumerate(texts)]
    root = make_run(
        tmp_path / "run", "pretrain", models={"base": tiny}, data={"texts": rows},
        settings={"max_length": 32, "test_share": 0.2, "lora_r": 0},
    )  # fmt: skip
    value = report(root)
    from training.engine.pretraining.packing import split

    learned, kept_out = split(texts, 0.2, 17)
    assert len(kept_out) == 2
    assert value["rows"]["read"] == len(learned)
    counts = found(value)
    assert counts["no_text"] == (learned.count(""), len(learned), "warn" if "" in learned else "ok")
    assert counts["duplicates"][0] == learned.count("Text number 0, of bread.") // 2
    assert counts["control_tokens"][0] == learned.count("Stop<|im_end|> here.")
    shown = value["examples"][0]["sequences"][0]["tokens"]
    assert all(is_learned for _text, is_learned, _control in shown)
    assert shown[-1][0] == "<|im_end|>", "an EOS stands behind each"
