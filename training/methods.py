"""What people may start: each method's inputs, the snapshot's file it learns from, and what it is for in a sentence.

The engine's side of a method, its settings and the models it reads, stands in `training.engine.methods`.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from models_registry.models import ModelVersion

Kind = ModelVersion.Kind

A_LANGUAGE_MODEL = _("a language model to start from")
WRITERS = (Kind.CAUSAL, Kind.SEQ2SEQ)
"""Kinds of models that answer prompts."""
PREFERENCES = "preference_train.jsonl"
HELD_OUT_PREFERENCES = "preference_test.jsonl"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """`uses` are inputs of `start_run`; `train` is the file of the snapshot it learns from, `rows` what that holds.

    `test` is read too where the snapshot has it; where `test_when` names a setting, only if that is set. `bases` are the kinds
    of version it can start from, `base` says them. `makes` is the kind of what it makes; None: the kind of its base, or no
    version at all.
    """

    what: str | Promise
    name: str | Promise
    uses: tuple[str, ...] = ("base", "snapshot")
    train: str = ""
    rows: str | Promise = ""
    test: str = ""
    bases: tuple[str, ...] = (Kind.CAUSAL,)
    base: str | Promise = A_LANGUAGE_MODEL
    makes: str | None = None
    test_when: str = ""


OFFERS: dict[str, Offer] = {
    "import": Offer(what=_("Bring in a model to start from."), name=_("A base model import"), uses=()),
    "generate": Offer(
        what=_("Let a model answer prompts; the answers can then be judged."),
        name=_("Generation"),
        bases=WRITERS,
        uses=("base", "prompts", "sampling"),
    ),
    "sft": Offer(
        what=_("Teach a model to write like the answers that were chosen or corrected."),
        name="SFT",
        train="sft_train.jsonl",
        bases=WRITERS,
        rows=_("rows to imitate"),
        test="sft_test.jsonl",
        test_when="evaluate_every",
    ),
    "reward": Offer(
        what=_("Learn to score answers as people did, to judge many more."),
        name=_("A reward model"),
        train=PREFERENCES,
        rows=_("preference rows"),
        test=HELD_OUT_PREFERENCES,
        makes=Kind.REWARD,
    ),
    "dpo": Offer(
        what=_("Move a model towards what was preferred and away from what was not."),
        name="DPO",
        train=PREFERENCES,
        rows=_("preference rows"),
        test=HELD_OUT_PREFERENCES,
        test_when="evaluate_every",
    ),
    "kto": Offer(
        what=_("Raise what was preferred and lower what was not, each answer by itself."),
        name="KTO",
        train=PREFERENCES,
        rows=_("preference rows"),
    ),
    "grpo": Offer(
        what=_(
            "Let a model answer each prompt several times, and learn which answers a reward model scores above the others."
        ),
        name="GRPO",
        uses=("base", "reward", "prompts"),
    ),
    "rloo": Offer(
        what=_("The same with the mean of a prompt's other answers as the measure: the simplest of its kind."),
        name="RLOO",
        uses=("base", "reward", "prompts"),
    ),
    "ppo": Offer(
        what=_("Let a model practise: it answers prompts, and a reward model pays for the better answers."),
        name="PPO",
        uses=("base", "reward", "prompts"),
    ),
    "classify": Offer(
        what=_("Teach an encoder to give texts the labels that people give them, to label many more."),
        name=_("A classifier"),
        train="labels_train.jsonl",
        rows=_("rows of labels"),
        test="labels_test.jsonl",
        bases=(Kind.ENCODER, Kind.CLASSIFIER),
        base=_("an encoder to start from"),
        makes=Kind.CLASSIFIER,
    ),
    "tag": Offer(
        what=_("Teach an encoder to mark in texts what people mark: names, places, claims."),
        name=_("A token classifier"),
        train="spans_train.jsonl",
        rows=_("rows of spans"),
        test="spans_test.jsonl",
        bases=(Kind.ENCODER, Kind.TAGGER),
        base=_("an encoder to start from"),
        makes=Kind.TAGGER,
    ),
    "pretrain": Offer(
        what=_("Let a language model read raw text, to know a domain or a language before it is taught to answer."),
        name=_("Pre-training"),
        uses=("base", "texts"),
    ),
    "predict": Offer(
        what=_("Let a classifier or token classifier read tasks before people do."),
        name=_("Prediction"),
        uses=("base", "texts"),
        bases=(Kind.CLASSIFIER, Kind.TAGGER),
        base=_("a classifier or token classifier"),
    ),
    "evaluate": Offer(
        what=_("Measure a model on prompts it never learned from."),
        name=_("Evaluation"),
        bases=WRITERS,
        uses=("base", "snapshot", "reward", "baseline", "prompts", "sampling"),
    ),
}
