"""Raw text: packed without loss, learned from a base or from scratch, with another tokenizer whose embeddings fit."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.engine.runs import events, make_run
from training.engine.pretraining.packing import rows_of
from training.engine.runner import execute
from training.engine.tiny import make_tokenizer, sentences

QUICK: dict[str, Any] = {"dtype": "float32", "max_length": 64, "test_share": 0.2}
GERMAN = [
    f"Der {a} {v} {o}, ehe die Sonne über dem Hafen aufgeht."
    for a in ("Fluss", "Zug", "Garten", "Nachbar", "Lehrer", "Bäcker")
    for v in ("trägt", "malt", "vergisst", "grüßt", "hebt")
    for o in ("sieben Briefe", "warmes Brot", "ein stilles Lied", "helle Steine")
]


def pretrain(root: Path, base: Path, texts: list[str], **settings: Any) -> Path:
    rows = [{"id": f"t{at}", "text": text} for at, text in enumerate(texts)]
    return make_run(root, "pretrain", models={"base": base}, data={"texts": rows}, settings={**QUICK, **settings})


def metrics(root: Path) -> dict[str, Any]:
    done = execute(root)
    assert done["state"] == "succeeded", done["error"]
    found: dict[str, Any] = done["metrics"]
    return found


@given(some.lists(some.lists(some.integers(5, 99), max_size=30), min_size=1), some.integers(2, 16), some.booleans())
def test_every_token_stands_in_one_row(texts: list[list[int]], length: int, packing: bool) -> None:
    rows, counts = rows_of(texts, length, 1, packing)
    said = [token for text in texts if text for token in (*text, 1)]
    packed = [token for row in rows for token in row]
    assert all(2 <= len(row) <= length for row in rows)
    assert counts["rows_dropped"] == sum(not text for text in texts)
    assert counts["train_tokens"] == len(packed)
    if packing:
        assert packed in (said, said[:-1]), "at most the last EOS stands alone in a row, and is left out"
        assert all(len(row) == length for row in rows[:-1])


def test_rows_by_hand() -> None:
    """5 6 | 7 with rows of 3: 5 6 eos, 7 eos. Without packing the same; with rows of 2 packed: 56 17 and a lone eos."""
    assert rows_of([[5, 6], [7], []], 3, 1, True)[0] == [[5, 6, 1], [7, 1]]
    assert rows_of([[5, 6], [7], []], 3, 1, False)[0] == [[5, 6, 1], [7, 1]]
    assert rows_of([[5, 6], [7]], 2, 1, True)[0] == [[5, 6], [1, 7]]


def test_going_on_from_a_base_learns_the_texts(tmp_path: Path, tiny: Path) -> None:
    """A random model of 512 tokens knows nothing: perplexity near 512 before, far below after."""
    found = metrics(
        pretrain(tmp_path / "run", tiny, sentences(200, seed=6), epochs=8, batch_size=4, learning_rate=5e-3)
    )
    assert found["perplexity_before"] == pytest.approx(512, rel=0.3)
    assert found["perplexity_after"] < 30
    assert found["bits_per_byte_after"] < found["bits_per_byte_before"] / 2
    assert found["texts_kept_out"] == round(0.2 * len(set(sentences(200, seed=6)))), (
        "texts that are the same count once"
    )


def test_bits_per_byte_are_those_of_an_independent_count(tmp_path: Path, tiny: Path) -> None:
    """Cross-entropy of the base by transformers' own loss, text by text, behind an EOS: the same sum of nats."""
    import torch

    from training.engine.models import load_causal, load_tokenizer
    from training.engine.pretraining.packing import split

    texts = sentences(20, seed=6)
    found = metrics(pretrain(tmp_path / "run", tiny, texts, max_steps=1))
    tokenizer, model = load_tokenizer(tiny), load_causal(tiny, torch.float32).eval()
    _train, test = split(texts, 0.2, 17)
    nats = 0.0
    for text in test:
        eos = tokenizer.eos_token_id
        ids = torch.tensor([[eos, *tokenizer(text, add_special_tokens=False)["input_ids"], eos]])
        nats += float(model(input_ids=ids, labels=ids).loss.detach()) * (ids.shape[1] - 1)
    assert found["bits_per_byte_before"] == pytest.approx(
        nats / math.log(2) / sum(len(text.encode()) for text in test), rel=1e-4
    )


def test_a_tokenizer_trained_on_the_texts_says_them_in_fewer_tokens(tmp_path: Path, tiny: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = pretrain(tmp_path / "run", tiny, GERMAN, tokenizer="train", vocabulary=400, epochs=3, learning_rate=3e-3)
    found = metrics(run)
    old, new = (AutoTokenizer.from_pretrained(path) for path in (tiny, run / "artifact"))
    assert len(new(GERMAN[0])["input_ids"]) < len(old(GERMAN[0])["input_ids"]) / 2
    assert new.decode(new(GERMAN[0], add_special_tokens=False)["input_ids"]) == GERMAN[0]
    assert found["vocabulary"] == len(new) <= 400, "so few texts have no more merges"
    assert 0 < found["tokens_kept"] < len(new)
    model = AutoModelForCausalLM.from_pretrained(run / "artifact")
    assert model.get_input_embeddings().num_embeddings == len(new)
    assert new.chat_template == old.chat_template
    stored = json.loads((run / "artifact" / "generation_config.json").read_text())
    assert (stored["eos_token_id"], stored["pad_token_id"]) == (new.eos_token_id, new.pad_token_id)
    assert model.config.pad_token_id == new.pad_token_id != new.eos_token_id
    assert found["bits_per_byte_after"] < found["bits_per_byte_before"]


def test_a_new_token_begins_as_the_mean_of_its_pieces(tiny: Path) -> None:
    import torch

    from training.engine.models import load_causal, load_tokenizer
    from training.engine.pretraining.vocabulary import carry_over

    old, model = load_tokenizer(tiny), load_causal(tiny, torch.float32)
    before = model.get_input_embeddings().weight.detach().clone()
    new = make_tokenizer().train_new_from_iterator([GERMAN], 350, show_progress=False)
    counts = carry_over(model, old, new)
    after = model.get_input_embeddings().weight.detach()
    shared = [token for token in new.get_vocab() if token in old.get_vocab()]
    assert counts["tokens_kept"] == len(shared)
    for token in shared[:20]:
        assert torch.equal(after[new.get_vocab()[token]], before[old.get_vocab()[token]])
    fresh = next(token for token in new.get_vocab() if token not in old.get_vocab())
    ids = old(new.decode([new.get_vocab()[fresh]]), add_special_tokens=False)["input_ids"]
    assert torch.allclose(after[new.get_vocab()[fresh]], before[ids].mean(0))


def test_a_model_from_scratch_has_the_shape_asked_for(tmp_path: Path, tiny: Path) -> None:
    run = pretrain(tmp_path / "run", tiny, sentences(100, seed=6), start="scratch", layers=2, width=64, epochs=8)
    found = metrics(run)
    config = json.loads((run / "artifact" / "config.json").read_text())
    shape = {
        name: config[name]
        for name in ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads")
    }
    assert list(shape.values()) == [2, 64, 2, 1]
    assert "perplexity_before" not in found
    assert found["perplexity_after"] < 200
    assert events(run, "metric")[0]["loss"] == pytest.approx(math.log(512), abs=0.3), "random weights know nothing"


def test_a_stopped_run_with_a_trained_tokenizer_goes_on_to_the_same_weights(tmp_path: Path, tiny: Path) -> None:
    runs = [
        pretrain(tmp_path / name, tiny, GERMAN, tokenizer="train", vocabulary=350, max_steps=4)
        for name in ("calm", "stopped")
    ]
    whole = execute(runs[0])
    (runs[1] / "control").mkdir()
    (runs[1] / "control" / "stop").touch()
    assert execute(runs[1])["state"] == "cancelled"
    assert execute(runs[1])["artifact"]["sha256"] == whole["artifact"]["sha256"]


def test_a_width_that_heads_do_not_divide_says_which_would_do(tmp_path: Path, tiny: Path) -> None:
    error = execute(pretrain(tmp_path / "run", tiny, sentences(9), start="scratch", width=70))["error"]
    assert (error["class"], error["hint"]) == ("width", "Set width to 64.")
