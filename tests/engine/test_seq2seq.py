"""SFT of an encoder-decoder, and importing models of every family."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import assistant, events, make_run, preference_rows, question, result, user
from training.engine.runner import execute

QUICK: dict[str, Any] = {"dtype": "float32", "learning_rate": 1e-2, "lora_r": 0, "batch_size": 4, "max_steps": 60}
ANSWERS = {"Bread?": "Warm bread.", "River?": "The river carries seven letters.", "Lamp?": "A lamp.", "Boat?": "No."}


def sft(root: Path, base: Path, rows: Any = None, **settings: Any) -> Path:
    rows = rows or [{"id": name, "prompt": user(name), "completion": assistant(text)} for name, text in ANSWERS.items()]
    return make_run(root, "sft", models={"base": base}, data={"train": rows}, settings={**QUICK, **settings})


def answers(path: Path) -> dict[str, str]:
    """Greedy, from the files: what a fresh process would say."""
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModelForSeq2SeqLM.from_pretrained(path).eval()
    inputs = tokenizer([name + tokenizer.eos_token for name in ANSWERS], return_tensors="pt", padding=True)
    inputs.pop("token_type_ids", None)
    written = model.generate(**inputs, do_sample=False, max_new_tokens=40)
    return dict(zip(ANSWERS, tokenizer.batch_decode(written, skip_special_tokens=True), strict=True))


def test_it_learns_to_answer_and_to_stop(tmp_path: Path, seq2seq: Path) -> None:
    run = sft(tmp_path / "run", seq2seq)
    done = execute(run)
    assert done["state"] == "succeeded", done["error"]
    assert answers(seq2seq) != ANSWERS
    assert answers(run / "artifact") == ANSWERS


def test_adapters_are_merged(tmp_path: Path, seq2seq: Path) -> None:
    run = sft(tmp_path / "run", seq2seq, lora_r=16, max_steps=100, learning_rate=3e-2)
    assert execute(run)["state"] == "succeeded"
    assert not any("adapter" in path.name for path in (run / "artifact").iterdir())
    assert sum(said == ANSWERS[name] for name, said in answers(run / "artifact").items()) >= 2


@pytest.mark.parametrize("settings", [{"packing": True}, {"learn": "every_turn"}, {"lora_r": 8, "artifact": "adapter"}])
def test_what_would_do_nothing_is_refused(tmp_path: Path, seq2seq: Path, settings: dict[str, Any]) -> None:
    assert execute(sft(tmp_path / "run", seq2seq, **settings))["error"]["class"] == "not_for_seq2seq"


def test_a_cut_text_keeps_its_end_and_is_counted(tmp_path: Path, seq2seq: Path) -> None:
    from training.engine.models import load_plain_tokenizer
    from training.engine.seq2seq import encoded
    from training.engine.spec import load

    rows = [{"id": "a", "prompt": question(1), "completion": assistant("bread " * 40)}]
    run = sft(tmp_path / "run", seq2seq, rows, max_length=16, overlong="truncate")
    tokenizer = load_plain_tokenizer(seq2seq)
    (row,), counts = encoded(tokenizer, rows, load(run / "spec.json").hyperparameters)
    assert (len(row["input_ids"]), len(row["labels"]), counts["rows_truncated"]) == (16, 16, 1)
    assert row["labels"][-1] == row["input_ids"][-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("family", ["causal", "encoder", "seq2seq"])
def test_an_import_tells_what_kind_of_model_it_brought_in(tmp_path: Path, request: Any, family: str) -> None:
    folder = request.getfixturevalue({"causal": "tiny"}.get(family, family))
    for name, source in {
        "path": {"kind": "path", "path": str(folder)},
        "tiny": {"kind": "tiny", "family": family},
    }.items():
        run = make_run(tmp_path / name, "import", models={}, data={}, settings={"source": source, "dtype": "float32"})
        done = execute(run)
        assert done["state"] == "succeeded", done["error"]
        assert done["metrics"]["kind"] == family
        kept, given = (json.loads((path / "config.json").read_text()) for path in (run / "artifact", folder))
        assert kept["architectures"] == given["architectures"]


def test_ids_of_special_tokens_are_those_of_the_new_vocabulary() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    from training.engine.errors import EngineError
    from training.engine.pretraining.vocabulary import renamed
    from training.engine.tiny import EOS, PAD, make_tokenizer, make_word_pieces

    old = make_tokenizer()
    new = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0, EOS: 1, PAD: 2})))
    assert renamed([old.eos_token_id, old.pad_token_id], old, new) == [1, 2]
    with pytest.raises(EngineError, match="lost a special token"):
        renamed(old.eos_token_id, old, make_word_pieces())


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, seq2seq: Path) -> Path:
    """A T5 that knows its four answers by heart, measured on held-out rows and shown as it learned."""
    asked = [{"id": name, "prompt": user(name), "completion": assistant(text)} for name, text in ANSWERS.items()]
    settings = {**QUICK, "evaluate_every": 30, "show_every": 60, "show_prompts": "Bread?\nLamp?"}
    run = make_run(
        tmp_path_factory.mktemp("taught") / "run",
        "sft",
        models={"base": seq2seq},
        data={"train": asked, "test": asked},
        settings=settings,
    )
    assert execute(run)["state"] == "succeeded"
    return run


def written(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "output" / "completions.jsonl").read_text().splitlines()]


def generate(root: Path, base: Path, **settings: Any) -> Path:
    prompts = [{"id": name, "messages": user(name)} for name in ANSWERS]
    asked = {"dtype": "float32", "max_new_tokens": 40, "batch_size": 4, "samples_per_prompt": 2, "max_redraws": 0}
    return make_run(root, "generate", models={"base": base}, data={"prompts": prompts}, settings={**asked, **settings})


@pytest.fixture(scope="module")
def completions(tmp_path_factory: pytest.TempPathFactory, seq2seq: Path) -> Path:
    root = generate(tmp_path_factory.mktemp("generated") / "run", seq2seq, max_new_tokens=12)
    assert execute(root)["state"] == "succeeded"
    return root


def test_it_is_measured_on_held_out_rows_and_shown_as_it_learns(taught: Path, seq2seq: Path) -> None:
    metrics = result(taught)["metrics"]
    assert metrics["eval_loss"] < 0.1
    shown = [(row["step"], row["prompt"], row["text"]) for row in events(taught, "sample")]
    before = shown[:2]
    assert [row[:2] for row in before] == [(0, "Bread?"), (0, "Lamp?")]
    assert shown[2:] == [(60, name, ANSWERS[name]) for name in ("Bread?", "Lamp?")]
    assert before[0][2] != ANSWERS["Bread?"]


def test_generate_writes_what_was_learned_and_stops(tmp_path: Path, taught: Path) -> None:
    run = generate(tmp_path / "run", taught / "artifact", top_k=1, samples_per_prompt=1)
    assert execute(run)["state"] == "succeeded"
    rows = written(run)
    assert {row["prompt_id"]: row["text"] for row in rows} == ANSWERS
    assert {row["finish_reason"] for row in rows} == {"stop"}


def test_our_decoding_is_that_of_transformers(tmp_path: Path, taught: Path) -> None:
    """Rows end at different lengths, so most leave the batch while others go on."""
    run = generate(tmp_path / "run", taught / "artifact", top_k=1, samples_per_prompt=1)
    execute(run)
    assert {row["prompt_id"]: row["text"] for row in written(run)} == answers(taught / "artifact")


def test_a_text_does_not_depend_on_its_batch(tmp_path: Path, seq2seq: Path, completions: Path) -> None:
    alone = generate(tmp_path / "alone", seq2seq, max_new_tokens=12, batch_size=2)
    execute(alone)
    assert len({row["text"] for row in written(completions)}) > 4
    assert [row["text"] for row in sorted(written(alone), key=place)] == [
        row["text"] for row in sorted(written(completions), key=place)
    ]


def place(row: dict[str, Any]) -> tuple[str, int]:
    return row["prompt_id"], row["sample"]


def test_a_killed_generation_goes_on_to_the_same_texts(tmp_path: Path, seq2seq: Path, completions: Path) -> None:
    root = generate(tmp_path / "killed", seq2seq, max_new_tokens=12)
    lines = (completions / "output" / "completions.jsonl").read_text().splitlines(keepends=True)
    (root / "output").mkdir()
    (root / "output" / "completions.jsonl").write_text("".join([*lines[:5], lines[5][:20]]))
    assert execute(root)["state"] == "succeeded"
    assert written(root) == written(completions)


def test_log_probabilities_are_those_of_the_models_own_loss(seq2seq: Path) -> None:
    """Cross-entropy of transformers is the mean of ours with its sign turned, also for a row that stands padded beside others."""
    import torch

    from training.engine.models import load_seq2seq
    from training.engine.rows import Encoded
    from training.engine.scoring import log_probabilities

    model = load_seq2seq(seq2seq, torch.float32).eval()
    rows = [Encoded([5, 6, 7, 2], [8, 9, 2]), Encoded([5, 2], [11, 12, 13, 14, 2])]
    found = log_probabilities(model, rows, 0, 2)
    for row, logps in zip(rows, found, strict=True):
        with torch.inference_mode():
            loss = model(input_ids=torch.tensor([row.prompt]), labels=torch.tensor([row.completion])).loss
        assert -sum(logps) / len(logps) == pytest.approx(float(loss), abs=1e-4)
    assert list(map(len, found)) == [3, 5]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    run = make_run(
        tmp_path_factory.mktemp("judge") / "run",
        "reward",
        models={"base": tiny},
        data={"train": preference_rows(8)},
        settings={"dtype": "float32", "max_steps": 2, "lora_r": 0},
    )
    assert execute(run)["state"] == "succeeded"
    return run / "artifact"


def evaluate(root: Path, **models: Path) -> Path:
    prompts = [{"id": name, "messages": user(name)} for name in ANSWERS]
    settings = {"dtype": "float32", "max_new_tokens": 12, "batch_size": 4, "top_p": 1.0}
    return make_run(root, "evaluate", models=models, data={"prompts": prompts}, settings=settings)


def test_it_is_measured_against_what_it_was_taught_from(
    tmp_path: Path, taught: Path, seq2seq: Path, judge: Path
) -> None:
    run = evaluate(tmp_path / "run", base=taught / "artifact", baseline=seq2seq, reference=seq2seq, reward_model=judge)
    done = execute(run)
    assert done["state"] == "succeeded", done["error"]
    assert done["metrics"]["reward_win_rate_n"] == 4
    assert done["metrics"]["kl_sequence_k1"] > 5, "it says by heart what the base would hardly ever say"


def test_it_does_not_differ_from_itself(tmp_path: Path, seq2seq: Path) -> None:
    metrics = execute(evaluate(tmp_path / "run", base=seq2seq, reference=seq2seq))["metrics"]
    assert metrics["kl_sequence_k1"] == pytest.approx(0.0, abs=1e-5)


def test_kl_to_another_family_has_no_meaning_and_says_so(
    tmp_path: Path, seq2seq: Path, tiny: Path, judge: Path
) -> None:
    run = evaluate(tmp_path / "run", base=seq2seq, baseline=tiny, reference=tiny, reward_model=judge)
    done = execute(run)
    assert done["state"] == "succeeded", done["error"]
    assert done["metrics"]["reward_win_rate_n"] == 4, "texts can be compared whoever wrote them"
    assert not any(name.startswith("kl_") for name in done["metrics"])
    (warning,) = (row for row in events(run, "warning") if row["name"] == "kl_undefined")
    assert "seq2seq and the reference causal" in warning["message"]
