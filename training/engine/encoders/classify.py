"""Sequence classification: one label a text, or any number of them, learned from what people agreed on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import DataCollatorWithPadding

from measures.classification import one_label, several_labels
from training.engine import models
from training.engine.context import Context, Outcome
from training.engine.encoders import questions
from training.engine.encoders.shared import Use, held_out, load_for_use, load_tokenizer, train, use_of
from training.engine.errors import EngineError
from training.engine.files import JSON, write_jsonl
from training.engine.rows import Encoded
from training.engine.scoring import batches
from training.engine.trainer import Sealed, load_dtype, report


@dataclass(frozen=True)
class Task:
    """What is told apart. With `several`, each label holds or not by itself."""

    labels: tuple[str, ...]
    several: bool

    def load(self, path: Path, dtype: Any, use: Use) -> Any:
        """A classifier over these labels; a head of another size is drawn anew from torch's seed."""
        from transformers import AutoModelForSequenceClassification

        model = AutoModelForSequenceClassification.from_pretrained(
            path,
            dtype=dtype,
            num_labels=len(self.labels),
            id2label=dict(enumerate(self.labels)),
            label2id={label: at for at, label in enumerate(self.labels)},
            problem_type="multi_label_classification" if self.several else "single_label_classification",
            ignore_mismatched_sizes=True,
        )
        return use.mark(model)

    def target(self, labels: Sequence[str]) -> int | list[float]:
        if self.several:
            return [float(label in labels) for label in self.labels]
        return self.labels.index(labels[0])


class Weighted(Sealed):
    """Cross-entropy in which every class weighs what its rows lack."""

    class_weights: torch.Tensor

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        weights = self.class_weights.to(outputs.logits.device)
        logits = outputs.logits.float()
        if labels.dim() > 1:
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.float(), pos_weight=weights)
        else:
            loss = torch.nn.functional.cross_entropy(logits, labels, weight=weights)
        return (loss, outputs) if return_outputs else loss


def run(context: Context) -> Outcome:
    settings, spec = context.spec.hyperparameters, context.spec
    base = context.model_path("base")
    tokenizer = load_tokenizer(base, settings.max_length)
    question = questions.of_one(context.rows("train", "labels"), settings.question, "labels")
    task = task_of(question, settings.labels)
    use = Use(question=question.name, max_length=settings.max_length, threshold=settings.threshold)
    rows, counts = encoded(tokenizer, question.rows, task, settings)
    report(context, counts)
    seen = Counter(label for row in question.rows for label in row["holds"]["labels"])
    tell_of_classes(context, task, seen)
    torch.manual_seed(spec.seed)  # the new head

    def load(path: Path, dtype: Any) -> Any:
        return task.load(path, dtype, use)

    def measure() -> JSON:
        return measured(context, question)

    trainer: type[Sealed] = Sealed
    if settings.class_weights == "balanced":
        weights = balanced(task, seen, len(question.rows))
        trainer = type("Balanced", (Weighted,), {"class_weights": weights})
    return train(
        context,
        model=models.adapted(load(base, load_dtype(context)), settings, "SEQ_CLS"),
        tokenizer=tokenizer,
        rows=rows,
        collator=DataCollatorWithPadding(tokenizer),
        counts={**counts, "rows_undecided": question.undecided, "question": question.name, "several": task.several},
        load=load,
        measure=measure,
        trainer=trainer,
    )


def task_of(question: questions.Question, wanted: str) -> Task:
    """Errors: a text with several labels, or none, where one was asked for."""
    odd = [row for row in question.rows if len(row["holds"]["labels"]) != 1]
    if wanted == "single" and odd:
        message = f"{len(odd)} rows have not exactly one label, the first is {odd[0]['id']}."
        raise EngineError("not_single", message, "Set labels to multi, or ask a question that allows one label.")
    return Task(question.options, wanted == "multi" or bool(odd))


def encoded(tokenizer: Any, rows: Sequence[JSON], task: Task, settings: Any) -> tuple[list[JSON], dict[str, int]]:
    kept, truncated = [], 0
    for row in rows:
        ids = tokenizer(row["text"])["input_ids"]
        if len(ids) > settings.max_length:
            if settings.overlong == "drop":
                continue
            truncated += 1
            ids = tokenizer(row["text"], truncation=True, max_length=settings.max_length)["input_ids"]
        kept.append({"input_ids": ids, "labels": task.target(row["holds"]["labels"])})
    return kept, {"rows": len(rows), "rows_dropped": len(rows) - len(kept), "rows_truncated": truncated}


def tell_of_classes(context: Context, task: Task, seen: Counter[str]) -> None:
    """Labels that nobody gave cannot be learned; with a single class there is nothing to tell apart."""
    if not task.several and len(seen) < 2:
        hint = "Label more texts until a second label occurs, then freeze the snapshot again."
        raise EngineError("one_class", f"Every row has the label {next(iter(seen))}.", hint)
    missing = [label for label in task.labels if not seen[label]]
    if missing:
        text = f"No row has {', '.join(missing)}; the model will hardly ever say so."
        context.log.emit("warning", name="labels_without_rows", labels=missing, message=text)


def balanced(task: Task, seen: Counter[str], rows: int) -> torch.Tensor:
    """One label: rows / (classes that occur · rows of the class), King and Zeng 2001. Several: rows without over rows with.

    A class that never occurs weighs 1: no row would be multiplied by it.
    """
    if task.several:
        values = [(rows - seen[label]) / seen[label] if seen[label] else 1.0 for label in task.labels]
    else:
        present = sum(seen[label] > 0 for label in task.labels)
        values = [rows / (present * seen[label]) if seen[label] else 1.0 for label in task.labels]
    return torch.tensor(values)


@dataclass(frozen=True)
class Classifier:
    """A trained classifier as its files say it is to be used."""

    model: Any
    tokenizer: Any
    use: Use

    @property
    def labels(self) -> list[str]:
        names = self.model.config.id2label
        return [names[at] for at in range(len(names))]

    @property
    def several(self) -> bool:
        return bool(self.model.config.problem_type == "multi_label_classification")

    def predict(self, texts: Sequence[str], batch_size: int) -> list[JSON]:
        """For each text, in order: its labels, the probability of each label, and whether its end was left out."""
        read = [self._read(text) for text in texts]
        scores = probabilities(self.model, [ids for ids, _cut in read], self.tokenizer.pad_token_id, batch_size)
        return [self._row(row, cut) for row, (_ids, cut) in zip(scores, read, strict=True)]

    def _read(self, text: str) -> tuple[list[int], bool]:
        """Token ids that the model reads, and whether they end before the text does."""
        most = self.use.max_length
        ids = self.tokenizer(text)["input_ids"]
        if len(ids) <= most:
            return ids, False
        return self.tokenizer(text, truncation=True, max_length=most)["input_ids"], True

    def _row(self, scores: list[float], truncated: bool) -> JSON:
        named = dict(zip(self.labels, scores, strict=True))
        said = [label for label, score in named.items() if score >= self.use.threshold]
        labels = said if self.several else [max(named, key=named.__getitem__)]
        return {"labels": labels, "scores": named, "truncated": truncated}


def load_classifier(path: Path, context: Context) -> Classifier:
    from transformers import AutoModelForSequenceClassification

    model, tokenizer = load_for_use(path, AutoModelForSequenceClassification, context), load_tokenizer(path)
    return Classifier(model, tokenizer, use_of(model, tokenizer))


@torch.inference_mode()
def probabilities(model: Any, ids: Sequence[list[int]], pad: int, batch_size: int) -> list[list[float]]:
    """Probability of every label of every text, in order: they sum to one, or with several labels each stands alone."""
    found: list[list[float]] = [[] for _ in ids]
    several = model.config.problem_type == "multi_label_classification"
    for indices, inputs, mask in batches([Encoded(row, []) for row in ids], pad, batch_size, model.device):
        logits = model(input_ids=inputs, attention_mask=mask).logits.float()
        chances = logits.sigmoid() if several else logits.softmax(-1)
        for index, row in zip(indices, chances.tolist(), strict=True):
            found[index] = row
    return found


def measured(context: Context, question: questions.Question) -> JSON:
    """The exported model on held-out rows, on the train rows where there are none; each row goes to output/."""
    classifier = load_classifier(context.run.artifact, context)
    split, rows, left_out = held_out(context, question, "labels", single=not classifier.several)
    found: JSON = {"measured_on": split, "measured_left_out": left_out, "measures": None}
    if not rows:
        return found
    said = classifier.predict([row["text"] for row in rows], context.spec.micro_batch_size)
    gold, predicted = [row["holds"]["labels"] for row in rows], [one["labels"] for one in said]
    written = [{"id": row["id"], "holds": row["holds"]["labels"], **one} for row, one in zip(rows, said, strict=True)]
    write_jsonl(context.run.output / f"measured-{split}.jsonl", written)
    if classifier.several:
        return {**found, "measures": several_labels(gold, predicted, classifier.labels)}
    was, told = ([row[0] for row in some] for some in (gold, predicted))
    return {**found, "measures": one_label(was, told, classifier.labels)}
