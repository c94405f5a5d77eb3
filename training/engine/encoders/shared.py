"""What classifying and tagging share: the tokenizer, the description a model carries, the trainer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from training.engine import models
from training.engine.context import Context, Outcome
from training.engine.encoders import questions
from training.engine.errors import EngineError
from training.engine.files import JSON
from training.engine.trainer import Sealed, Session, arguments, exporter, fit

KEY = "plumbline"
"""Where config.json says how the model is to be used."""


@dataclass(frozen=True)
class Use:
    """How predictions are made the way training was: kept in the model's config.json."""

    question: str = ""
    max_length: int = 256
    overlap: int = 0
    threshold: float = 0.5

    def mark(self, model: Any) -> Any:
        model.config.update({KEY: asdict(self)})
        return model


def use_of(model: Any, tokenizer: Any) -> Use:
    """What the model says of itself; a classifier made elsewhere says nothing, and reads what its positions allow."""
    stated = getattr(model.config, KEY, None) or {"max_length": min(positions(model.config, tokenizer), 512)}
    return Use(**{name: stated[name] for name in (field.name for field in fields(Use)) if name in stated})


def positions(config: Any, tokenizer: Any) -> int:
    """Tokens the model can read at once."""
    stated = getattr(config, "max_position_embeddings", None) or tokenizer.model_max_length
    return int(min(stated, tokenizer.model_max_length))


def load_tokenizer(path: Path, longest: int | None = None) -> Any:
    """A fast tokenizer with a pad token of its own, of a model that can read `longest` tokens at once."""
    from transformers import AutoConfig

    tokenizer = models.require_own_pad(models.read_tokenizer(path))
    if not tokenizer.is_fast:
        message = f"The tokenizer in {path} gives no offsets: it is none of the fast ones."
        raise EngineError("slow_tokenizer", message, "Import a model that has a tokenizer.json.")
    most = positions(AutoConfig.from_pretrained(path), tokenizer)
    if longest is not None and longest > most:
        message = f"max_length is {longest}, but this model reads {most} tokens at most."
        raise EngineError("max_length", message, f"Set max_length to {most} or less.")
    return tokenizer


def train(
    context: Context,
    *,
    model: Any,
    tokenizer: Any,
    rows: list[JSON],
    collator: Any,
    counts: JSON,
    load: Callable[[Path, Any], Any],
    measure: Callable[[], JSON],
    trainer: type[Sealed] = Sealed,
) -> Outcome:
    """Fit `model` to encoded `rows`, export it, then `measure` the artifact: what is measured is what will be used."""
    from datasets import Dataset
    from transformers import TrainingArguments

    metrics = dict(counts)
    write = exporter(context, context.model_path("base"), tokenizer, load=load)

    def export(trained: Path) -> JSON:
        artifact = write(trained)
        metrics.update(measure())
        return artifact

    fitted = trainer(
        model=model,
        args=arguments(context, TrainingArguments, include_num_input_tokens_seen="non_padding"),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        data_collator=collator,
    )
    return fit(Session(context), fitted, metrics, export)


def load_for_use(path: Path, kind: Any, context: Context) -> Any:
    """The model at `path` as `kind`, one of transformers' AutoModel classes, on the run's device and in eval mode."""
    dtype = models.torch_dtype(context.spec.hyperparameters.dtype, cuda=context.cuda)
    return kind.from_pretrained(path, dtype=dtype).to("cuda" if context.cuda else "cpu").eval()


def held_out(
    context: Context, question: questions.Question, answer: str, *, single: bool = False
) -> tuple[str, Sequence[JSON], int]:
    """The split to measure on (train without a test split), its decided rows, and how many are left out.

    Left out are answers that the model cannot give: labels that no row of the train split offered, and with `single`
    those that are not exactly one label.
    """
    split, rows = "train", list(question.rows)
    if "test" in context.spec.data:
        split = "test"
        asked = [row for row in context.rows("test", answer) if row["question"] == question.name]
        rows = list(questions.of_one(asked, question.name, answer).rows) if _decided(asked) else []
    kept = [row for row in rows if _can_be_said(row, question, answer, single)]
    context.log.phase("measuring", rows=len(kept), held_out=split == "test")
    return split, kept, len(rows) - len(kept)


def _decided(rows: Sequence[JSON]) -> bool:
    return any(row["holds"] is not None for row in rows)


def _can_be_said(row: JSON, question: questions.Question, answer: str, single: bool) -> bool:
    given = [one if answer == "labels" else one["label"] for one in row["holds"][answer]]
    return set(given) <= set(question.options) and (not single or len(given) == 1)
