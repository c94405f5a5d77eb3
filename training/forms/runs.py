"""The form of a new run, made from the engine's own settings, so that it can never offer what the engine does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.forms.boundfield import BoundField
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from accounts.models import Project
from feedback.selectors import snapshots_of
from ground import formats
from ground.errors import Invalid
from jobs.gpus import usual_layout
from models_registry.models import Alias, ModelVersion
from models_registry.selectors import versions_of
from training.corpora import PREFIX, corpora_of
from training.engine.errors import EngineError
from training.engine.fields import describe
from training.engine.hyperparameters.making import SOURCE_KEYS, TINY_FAMILIES
from training.engine.hyperparameters.shared import default_rates, epochs
from training.engine.methods import METHODS, TRAINED
from training.engine.preflight.size import size_of
from training.engine.spec import CheckpointPolicy, Parallelism
from training.methods import HELD_OUT_PREFERENCES, OFFERS, WRITERS
from training.models import Target
from training.services import ALL, HELD_OUT, OPEN, TRAINING, Asked

Setting = dict[str, Any]
PLAIN = {
    "learning_rate", "epochs", "batch_size", "lora_r", "max_length", "beta", "loss_type",
    "kl_coefficient", "missing_eos_penalty", "max_new_tokens", "temperature", "top_p", "samples_per_prompt",
    "question", "labels",
}  # fmt: skip
"""Shown at once; every other setting is folded away with its default."""
PREFIXES = {"hyperparameters": "hp", "parallelism": "par", "checkpoint": "ck"}
ROLES = {
    "base": (lazy("Model"), lazy("Where it starts, or what writes.")),
    "snapshot": (lazy("Snapshot"), lazy("The frozen judgements it learns from or is tested on.")),
    "reward": (lazy("Judge"), lazy("A reward model that scores both answers and the held-out pairs.")),
    "baseline": (lazy("Compared with"), lazy("Its answers to the same prompts; usually the champion.")),
}
SOURCES = {
    "auto": lazy("SmolLM2-135M-Instruct: from the hub, or from its package when there is no hub"),
    "hub": lazy("A model of the hub, by its name"),
    "wheel": lazy("SmolLM2-135M-Instruct from its package"),
    "path": lazy("A folder on the server"),
    "tiny": lazy("A tiny model for trying things out; its answers mean nothing"),
}


FAMILIES = {"causal": lazy("Language model"), "encoder": lazy("Encoder"), "seq2seq": lazy("Encoder-decoder")}


class VersionField(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        """A library model is everybody's, so it says so."""
        return f"{obj} ({_('library')})" if obj.model.project_id is None else str(obj)


class SnapshotField(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        rows = sum(int(entry.get("rows") or 0) for entry in obj.files.values())
        name = f"{obj}, {obj.name}" if obj.name else str(obj)
        return _("%(name)s: %(rows)d rows") % {"name": name, "rows": rows}


class NewRunForm(forms.Form):
    """One method's inputs and settings. `asked()` gives what `start_run` wants; an empty setting keeps its default."""

    def __init__(self, method: str, project: Project, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.method = method
        self.project = project
        self.settings: dict[str, Setting] = {}
        for role in OFFERS[method].uses:
            if role in ROLES:
                self._add_role(role)
        self._add_others()
        if method in TRAINED and Target.objects.filter(project=project, retired_at=None).exists():
            self._add_target()
        self._add_settings("hyperparameters", METHODS[method].settings)
        if method in TRAINED:
            self._add_settings("parallelism", Parallelism)
            self._add_settings("checkpoint", CheckpointPolicy)
        for field in self.fields.values():
            dress(field)
        if "base" in self.fields and method in TRAINED:
            renewed = {
                "hx-get": f"?method={method}",
                "hx-trigger": "change",
                "hx-target": "#taken",
                "hx-select": "#taken",
            }
            self.fields["base"].widget.attrs |= {**renewed, "hx-swap": "outerHTML"}

    def _add_role(self, role: str) -> None:
        label, text = ROLES[role]
        needed = role == "base" or (role == "snapshot" and bool(OFFERS[self.method].train))
        needed = needed or (role == "reward" and self.method in TRAINED)
        rows, kind = self._choices(role)
        initial = self._first(role, rows, needed)
        if role == "base" and self.method == "evaluate":
            text = lazy("What is measured.")
        if role == "reward" and self.method in TRAINED:
            text = lazy("The reward model that pays for its answers.")
        empty = None if needed and rows else "---------"
        self.fields[role] = kind(
            rows, label=label, help_text=text, required=needed, empty_label=empty, to_field_name="public_id",
            initial=initial.public_id if initial else None,
        )  # fmt: skip

    def _first(self, role: str, rows: QuerySet[Any], needed: bool) -> Any:
        """The newest that fits; to compare with, the champion. A test on a snapshot needs a judge and held-out pairs."""
        if role == "baseline":
            return self._champion()
        if needed or role == "reward":
            return rows.first()
        has_judge = self._choices("reward")[0].exists()
        with_tests = (row for row in rows if (row.files.get(HELD_OUT_PREFERENCES) or {}).get("rows"))
        return next(with_tests, None) if has_judge else None

    def _choices(self, role: str) -> tuple[QuerySet[Any], Any]:
        if role == "snapshot":
            return snapshots_of(self.project), SnapshotField
        others = {"reward": (ModelVersion.Kind.REWARD,), "baseline": WRITERS}
        kinds = others.get(role, OFFERS[self.method].bases)
        return versions_of(self.project).filter(kind__in=kinds).order_by("model__project_id", "-pk"), VersionField

    def _champion(self) -> ModelVersion | None:
        alias = Alias.objects.filter(model__project=self.project, name=Alias.CHAMPION).select_related("version")
        found = alias.order_by("-pk").first()
        return found.version if found else None

    def _add_target(self) -> None:
        self.fields["target"] = forms.ModelChoiceField(
            Target.objects.filter(project=self.project, retired_at=None), required=False, to_field_name="public_id",
            label=_("Where it runs"), empty_label=_("This machine"),
            help_text=_("Its machines must see the run directory at the same path."),
        )  # fmt: skip

    def _add_others(self) -> None:
        if "prompts" in OFFERS[self.method].uses:
            choices = [(HELD_OUT, _("The held-out prompts")), (TRAINING, _("The training prompts"))]
            if self.method in TRAINED:
                choices = choices[1:]  # what is learned on can no longer measure
            first = HELD_OUT if self.method == "evaluate" else TRAINING
            self.fields["prompts"] = forms.ChoiceField(choices=choices, initial=first, label=_("Prompts"))
        if "texts" in OFFERS[self.method].uses:
            self._add_texts()
        if self.method == "import":
            self._add_source()
        if self.method in (*TRAINED, "import"):
            hint = _("The line its version joins. Empty: the base model's own, or the project's.")
            if self.method == "import":
                hint = _("With a name it is the first version of a model of this project. Empty: the shared library.")
            self.fields["model_slug"] = forms.SlugField(
                label=_("Name of the model"), required=False, max_length=80, help_text=hint,
                initial=self.project.slug if self.method == "import" else "",
            )  # fmt: skip
        self.fields["seed"] = forms.IntegerField(
            label=_("Seed"), initial=0, help_text=_("The same seed and settings give the same run.")
        )

    def _add_texts(self) -> None:
        choices = [(OPEN, _("Tasks that want answers")), (ALL, _("All tasks"))]
        initial = OPEN
        if self.method == "pretrain":
            names = corpora_of(self.project)
            choices = [*((PREFIX + name, _("Corpus %s") % name) for name in names), choices[1]]
            initial = choices[0][0]
        self.fields["texts"] = forms.ChoiceField(choices=choices, initial=initial, label=_("Texts"))

    def _add_source(self) -> None:
        choices = [(name, SOURCES[name]) for name in SOURCE_KEYS]
        self.fields["source"] = forms.ChoiceField(choices=choices, label=_("Where it comes from"))
        self.fields["source_id"] = forms.CharField(
            label=_("Name at the hub"), required=False, help_text=_("owner/name; only with the hub.")
        )
        families = [(name, FAMILIES[name]) for name in TINY_FAMILIES]
        self.fields["source_family"] = forms.ChoiceField(
            label=_("Family"), required=False, choices=families, help_text=_("Only of a tiny model.")
        )
        self.fields["source_path"] = forms.CharField(
            label=_("Folder"), required=False, help_text=_("On the server; only with a folder.")
        )

    def _add_settings(self, group: str, shape: type[Any]) -> None:
        for setting in describe(shape):
            if setting["name"] == "source":
                continue
            name = f"{PREFIXES[group]}_{setting['name']}"
            self.settings[name] = {**setting, "group": group}
            self.fields[name] = field_of(setting)
            if setting["name"] == "epochs":
                self.fields[name].widget.attrs["placeholder"] = f"{epochs(shape()):g}"
        if group == "parallelism":
            self._fit_machine()

    @property
    def default_rate(self) -> str:
        """Which learning rate an empty setting stands for, with the base that is chosen, and where that comes from."""
        if self.method not in TRAINED:
            return ""
        base = self.fields["base"].queryset.filter(public_id=self["base"].value() or "").first()  # type: ignore[attr-defined]
        parameters = _parameters(base)
        if parameters is None:
            return ""
        shape = METHODS[self.method].settings
        rate = next(row for row in reversed(default_rates(shape)) if parameters >= row["from_parameters"])
        words = {
            "base": base,
            "parameters": formats.number(parameters, 0),
            "adapters": f"{rate['with_adapters']:g}",
            "all": f"{rate['all_weights']:g}",
        }
        return (
            _(
                "%(base)s has %(parameters)s parameters. An empty learning rate means %(adapters)s with adapters and %(all)s when "
                "every weight is trained: the method's own for 1 to 13 billion parameters; without adapters twice that "
                "below, half of it above."
            )
            % words
        )

    def _fit_machine(self) -> None:
        """The usual layout of this machine. Threads: what is left."""
        for name, value in usual_layout().items():
            self.fields[f"par_{name}"].initial = value
        self.fields["par_threads"].initial = None
        self.fields["par_threads"].required = False

    def bound(self, *, folded: bool) -> list[BoundField]:
        return [self[name] for name in self.settings if self._is_folded(name) is folded]

    def _is_folded(self, name: str) -> bool:
        return self.settings[name]["name"] not in PLAIN and name not in ("par_world_size", "par_zero_stage")

    @property
    def inputs(self) -> list[BoundField]:
        return [self[name] for name in self.fields if name not in self.settings]

    @property
    def plain_settings(self) -> list[BoundField]:
        return self.bound(folded=False)

    @property
    def folded_settings(self) -> list[BoundField]:
        return self.bound(folded=True)

    @property
    def opens_folded(self) -> bool:
        return any(field.errors for field in self.folded_settings)

    def asked(self) -> dict[str, Any]:
        """The arguments of `start_run`, after is_valid."""
        said = self.cleaned_data
        found: dict[str, Any] = {
            name: said[name]
            for name in ("base", "snapshot", "reward", "baseline", "prompts", "texts", "target")
            if name in said
        }
        groups: dict[str, dict[str, Any]] = {group: {} for group in PREFIXES}
        for name, setting in self.settings.items():
            if said.get(name) not in (None, "") and said[name] != setting["default"]:
                groups[setting["group"]][setting["name"]] = said[name]
        if self.method == "import":
            groups["hyperparameters"]["source"] = self._source()
        return {**found, "model_slug": said.get("model_slug", ""), "seed": said["seed"], **groups}

    def asked_for(self) -> Asked:
        """The same, as one value."""
        return Asked(method=self.method, **self.asked())

    def _source(self) -> dict[str, str]:
        kind = self.cleaned_data["source"]
        named = {"id": self.cleaned_data["source_id"], "path": self.cleaned_data["source_path"]}
        if kind == "tiny":
            named["family"] = self.cleaned_data["source_family"]
        return {"kind": kind, **{key: value for key, value in named.items() if value}}

    def refuse(self, error: Invalid) -> None:
        """Put the engine's own words beside the fields they speak of; what names no field stands on top."""
        for where, text in (error.extra.get("problems") or {}).items():
            self.add_error(self._field_for(where), text if self._field_for(where) else f"{where}: {text}")
        if not self.errors:
            self.add_error(None, error.told)

    def _field_for(self, where: str) -> str | None:
        group, _dot, name = where.partition(".")
        names = {"reward_model": "reward", "data": "snapshot", "hyperparameters.source": "source"}
        for known in (names.get(where), f"{PREFIXES.get(group, '')}_{name}", where, names.get(group)):
            if known in self.fields:
                return known
        return None


def _parameters(version: ModelVersion | None) -> int | None:
    """From the headers of its files; None when they are not there to be read."""
    try:
        return size_of(Path(version.artifact)).parameters if version and version.artifact else None
    except (EngineError, OSError, ValueError):
        return None


def field_of(setting: Setting) -> forms.Field:
    """The form field of one setting. Bounds are the engine's to check, so that there is one message for each."""
    common: Any = {
        "label": _label(setting["name"]),
        "help_text": _(setting["help"]).replace("null", _("empty")) if setting["help"] else "",
        "initial": setting["default"],
        "required": False,
    }
    if setting["name"] == "show_prompts":
        return forms.CharField(**common, widget=forms.Textarea(attrs={"rows": 3}))
    if setting["type"] == "bool or null":
        choices = [("", _("as the model's size asks")), (True, _("yes")), (False, _("no"))]
        return forms.TypedChoiceField(choices=choices, coerce=lambda said: said == "True", empty_value=None, **common)
    if "choices" in setting:
        choices = setting["choices"]
        if isinstance(choices[0], int):
            return forms.TypedChoiceField(choices=[(one, one) for one in choices], coerce=int, **common)
        return forms.ChoiceField(choices=[(one, one) for one in choices], **common)
    kinds: dict[str, type[forms.Field]] = {
        "int": forms.IntegerField,
        "float": forms.FloatField,
        "bool": forms.BooleanField,
    }
    return kinds.get(setting["type"].split(" ")[0], forms.CharField)(**common)


def _label(name: str) -> str:
    known = {
        "lora_r": _("LoRA rank"), "lora_alpha": _("LoRA alpha"), "lora_dropout": _("LoRA dropout"), "beta": "β",
        "top_p": "top-p", "top_k": "top-k", "world_size": _("Processes"), "zero_stage": _("ZeRO stage"),
        "dtype": _("Number format"), "export_dtype": _("Number format of the saved weights"),
        "lr_scheduler": _("Learning rate schedule"), "keep": _("Checkpoints kept"),
        "every_steps": _("Steps between checkpoints"),
    }  # fmt: skip
    return str(known.get(name, name.replace("_", " ").capitalize()))


def dress(field: forms.Field) -> None:
    if isinstance(field, forms.FloatField):
        field.widget.attrs["step"] = "any"
    if not isinstance(field, forms.BooleanField | forms.ChoiceField):
        field.widget.attrs["class"] = "input"
