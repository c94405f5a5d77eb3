"""A project at any station of the loop, its rows made by the services that the pages use."""

import uuid
from pathlib import Path
from typing import Any

from annotation.display import order_for
from annotation.models import Slot
from annotation.pairs import pairs_from_job
from annotation.services.slots import submit_answer, take_next
from annotation.services.tasks import create_pairwise_tasks
from feedback.models import Snapshot
from feedback.services import drain_outbox, freeze
from jobs import services as jobs
from jobs.inprocess import run_in_process
from jobs.models import Job
from models_registry.models import Alias, Deployment, Evaluation, ModelVersion, Verdict
from models_registry.services.aliases import move_alias
from models_registry.services.completions import request_completions
from models_registry.services.deployments import deploy
from models_registry.services.prompts import import_prompts
from models_registry.services.verdicts import record_evaluation, record_verdict
from models_registry.services.versions import register_version
from tests.conftest import Cast
from training.models import Run
from training.services import ensure_run, start_run

MODEL = "assistant"
WIN_RATE = {"estimate": 0.64, "low": 0.55, "high": 0.72, "n": 120, "enough": True}


class Story:
    """Each method is one step of the loop by Mona, the manager; call them in the order of the loop."""

    def __init__(self, cast: Cast, folder: Path) -> None:
        self.cast, self.project, self.mona, self.folder = cast, cast.project, cast.mona, folder

    def prompts(self, count: int = 6) -> None:
        rows = [{"prompt": f"How do I descale kettle {n}?", "held_out": n % 3 == 0} for n in range(count)]
        import_prompts(actor=self.mona, project=self.project, rows=rows)

    def version(self, kind: str = "causal", model: str = MODEL, parent: ModelVersion | None = None) -> ModelVersion:
        return register_version(
            actor=self.mona,
            project=self.project,
            model_slug=model,
            kind=kind,
            artifact=self.folder,
            digest=f"sha256:{uuid.uuid4().hex * 2}",
            files={},
            lineage={"schema_version": 1, "run": uuid.uuid4().hex},
            parent=parent,
        )

    def champion(self, version: ModelVersion) -> None:
        verdict = record_verdict(
            actor=self.mona, project=self.project, version=version, outcome=Verdict.Outcome.BOOTSTRAP, reason="First."
        )
        self.move(version, verdict, 0)

    def move(self, version: ModelVersion, verdict: Verdict, generation: int) -> None:
        move_alias(
            actor=self.mona,
            model=version.model,
            name=Alias.CHAMPION,
            version=version,
            verdict=verdict,
            expected_generation=generation,
        )

    def responses(self, version: ModelVersion) -> Job:
        prompts = list(self.project.prompts.order_by("pk"))
        (job,) = request_completions(
            actor=self.mona,
            project=self.project,
            versions=[version],
            prompts=prompts,
            samples=2,
            sampling={"seed": 1},
            purpose="first",
        )
        claimed = jobs.claim(job=job)
        assert claimed is not None
        ensure_run(claimed)
        rows = [
            {
                "prompt": prompt.public_id,
                "external_id": f"{prompt.public_id}:{n}",
                "text": f"Boil {n + 1} cups of vinegar.",
            }
            for prompt in prompts
            for n in (0, 1)
        ]
        return jobs.succeed(job=claimed, result={"completions": rows})

    def tasks(self, job: Job, overlap: int = 2) -> None:
        pairs = pairs_from_job(self.mona, job.public_id)
        create_pairwise_tasks(actor=self.mona, pairs=pairs, overlap=overlap)

    def judge(self, actor: Any, most: int = 100) -> int:
        """The actor prefers the first candidate, on whichever side it stands, `most` times at most: no vote is split by chance."""
        for done in range(most):
            claimed = take_next(actor=actor)
            if claimed is None:
                return done
            slot = Slot.objects.select_related("task__schema").get(pk=claimed.slot_id)
            side = "first" if order_for(actor, slot.task)[0] == 0 else "second"
            answers = {"preference": {"choice": side, "strength": 1}}
            submit_answer(actor=actor, slot=slot, token=claimed.token, key=uuid.uuid4().hex, answers=answers)
        return most

    def snapshot(self) -> Snapshot:
        drain_outbox()
        job = jobs.claim(job=freeze(actor=self.mona, project=self.project, name="first", test_share=0.2))
        assert job is not None
        run_in_process(job)
        return Snapshot.objects.get(job=job)

    def run(self, method: str, base: ModelVersion, snapshot: Snapshot) -> Run:
        """Queued, as a page starts it."""
        return start_run(
            actor=self.mona, project=self.project, method=method, base=base, snapshot=snapshot, model_slug=MODEL
        )

    def trained(self, run: Run, kind: str = "causal", model: str = MODEL) -> ModelVersion:
        """What the run made, as if its engine had worked."""
        version = self.version(kind, model, run.base)
        Run.objects.filter(pk=run.pk).update(output=version)
        Job.objects.filter(pk=run.job_id).update(state=Job.State.SUCCEEDED, finished_at=run.job.queued_at)
        return version

    def evaluated(self, version: ModelVersion, baseline: ModelVersion, judge: str) -> Evaluation:
        return record_evaluation(
            project=self.project,
            version=version,
            baseline=baseline,
            judge=judge,
            spec={"schema_version": 1},
            metrics={"win_rate": WIN_RATE},
        )

    def serve(self, version: ModelVersion) -> None:
        deployment = deploy(
            actor=self.mona, project=self.project, backend=Deployment.Backend.TRANSFORMERS, version=version
        )
        Deployment.objects.filter(pk=deployment.pk).update(state=Deployment.State.READY)

    def whole(self) -> ModelVersion:
        """Once round the loop, the new model serving; the new version."""
        from accounts.services import add_simulated_annotator

        self.prompts()
        base = self.version()
        self.champion(base)
        job = self.responses(base)
        self.tasks(job)
        simulated = add_simulated_annotator(actor=self.mona, external_id="sim-1", pseudonym="Simulated Sam")
        self.judge(self.cast.bob)
        self.judge(simulated)
        snapshot = self.snapshot()
        reward = self.trained(self.run("reward", base, snapshot), "reward", "judge")
        policy = self.trained(self.run("dpo", base, snapshot))
        evaluation = self.evaluated(policy, base, reward.public_id)
        verdict = record_verdict(actor=self.mona, project=self.project, evaluation=evaluation)
        self.move(policy, verdict, 1)
        self.serve(policy)
        return policy
