"""The loop, stage by stage, as a manager walks it: by HTTP, and never twice.

Every stage looks first whether its result is already there, so that a second start goes on where the first one ended.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from demo.annotators import NAMES, Annotator, positive, tempers, work_together
from demo.client import Client, Refused, Stopped
from demo.prompts import prompts
from demo.sizes import Sizes

JSON = dict[str, Any]
Say = Callable[[str], None]
MODEL = "assistant"
JUDGE = "judge"
POLL_SECONDS = 0.7
SETTLED_LOOKS = 10
"""So many looks without another vote: somebody holds a task and thinks, or has skipped it."""
DEAD = ("failed", "cancelled")
GUIDELINE = """# Which sentence is better?

Read the request, then both answers. **Prefer the more positive sentence.** When they are equally positive, say so; when both are
bad, say that. Which one stands first means nothing, and longer is not better.
"""
QUESTION = "Which sentence is more positive?"


class LoopFailed(Exception):
    """A sentence for the person: what went wrong, and where to look."""


def why(row: JSON) -> str:
    """What a run or a job says about its own end."""
    error = row.get("error") or {}
    return " ".join(part for part in (error.get("message"), error.get("hint")) if part) or "Its log says more."


@dataclass
class Loop:
    """Holds no truth of its own: what is done is read from the API. `phases` are seconds of this start alone."""

    manager: Client
    slug: str
    sizes: Sizes
    say: Say
    over: threading.Event
    token: str = ""
    phases: dict[str, float] = field(default_factory=dict)
    annotators: list[Annotator] = field(default_factory=list)
    outcome: JSON = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        self.say(f"· {name} …")
        yield
        self.phases[name] = round(self.phases.get(name, 0.0) + time.monotonic() - began, 1)
        self.say(f"  {name}: {self.phases[name]:.0f} s")

    def at(self, path: str) -> str:
        return f"/api/v1/projects/{self.slug}{path}"

    # -- people and texts

    def project(self, colleagues: dict[str, str]) -> None:
        """`colleagues`: email to role. They exist already: an operator made them."""
        if self.manager.find(self.at("")) is None:
            self.manager.post(
                "/api/v1/projects",
                {
                    "slug": self.slug,
                    "name": "One sentence",
                    "description": "The loop on a small model, from start to end.",
                },
            )
        for email, role in colleagues.items():
            self.manager.post(self.at("/members"), {"email": email, "role": role})
        if not self.manager.every(self.at("/guidelines")):
            self.manager.post(self.at("/guidelines"), {"body": GUIDELINE})
        self.token = self.issue("demo", ["invoke", "feedback"])

    def issue(self, name: str, scopes: list[str], actor: str = "") -> str:
        """A fresh token; those of earlier starts with this name are revoked, since nobody has their secrets any more."""
        for token in self.manager.get(self.at("/tokens")):
            if token["name"] == name and token["revoked_at"] is None:
                self.manager.delete(self.at(f"/tokens/{token['id']}"))
        asked: JSON = {"name": name, "scopes": scopes} | ({"actor": actor} if actor else {})
        return str(self.manager.post(self.at("/tokens"), asked)["token"])

    def hire(self) -> None:
        """The simulated annotators: actors marked as simulated, a token each."""
        for temper in tempers(self.sizes.annotators):
            asked = {"external_id": temper.name, "pseudonym": temper.name}
            actor = self.manager.post(self.at("/actors"), asked)
            secret = self.issue(temper.name, ["annotate"], actor["id"])
            client = Client(str(self.manager.http.base_url), self.over, secret)
            self.annotators.append(Annotator(temper, client))

    def import_prompts(self) -> tuple[list[str], list[str]]:
        """Ids of training prompts and of held-out ones."""
        rows = prompts(self.sizes.training_prompts, self.sizes.held_out)
        results = self.manager.post(self.at("/prompts"), {"rows": rows})["results"]
        wrong = [result for result in results if result["status"] == "invalid"]
        if wrong:
            raise LoopFailed(f"A prompt was refused: {wrong[0]['error']}")
        ids = [result["id"] for result in results]
        return ids[: self.sizes.training_prompts], ids[self.sizes.training_prompts :]

    # -- runs

    def runs(self, method: str) -> list[JSON]:
        """Oldest first, without those that failed."""
        every = reversed(self.manager.every(self.at("/runs")))
        return [run for run in every if run["method"] == method and run["state"] not in DEAD]

    def start(self, method: str, **asked: Any) -> JSON:
        """The run of this method, started unless it is there already."""
        found = self.runs(method)
        if found:
            return found[0]
        body: JSON = {"method": method, "hyperparameters": self.sizes.of(method), **asked}
        return dict(self.manager.post(self.at("/runs"), body))

    def finish(self, run: JSON) -> JSON:
        """Wait for the end of a run. Errors: LoopFailed with the run's own error."""
        shown = ""
        while True:
            run = self.manager.get(self.at(f"/runs/{run['id']}"))
            if run["state"] == "succeeded":
                return run
            if run["state"] in DEAD:
                raise LoopFailed(f"{run['method']} {run['id']} {run['state']}. {why(run)}")
            shown = self._show(run, shown)
            self.wait(POLL_SECONDS)

    def _show(self, run: JSON, shown: str) -> str:
        """Say the phase when it changes, and every quarter of the steps."""
        progress = run.get("progress") or {}
        phase, step, steps = progress.get("phase", ""), progress.get("step") or 0, progress.get("steps") or 0
        text = f"{phase} {min(step * 4 // steps, 4) * 25} %" if steps else phase
        if text != shown:
            self.say(f"    {run['method']}: {text}")
        return text

    def finish_job(self, job_id: str) -> JSON:
        while True:
            job = self.manager.get(self.at(f"/jobs/{job_id}"))
            if job["state"] == "succeeded":
                return dict(job)
            if job["state"] in DEAD:
                raise LoopFailed(f"{job['kind']} {job_id} {job['state']}. {why(job)}")
            self.wait(POLL_SECONDS)

    def wait(self, seconds: float) -> None:
        if self.over.wait(seconds):
            raise Stopped

    # -- the circle

    def import_base(self) -> str:
        """The version id of the base model."""
        run = self.finish(self.start("import", model=MODEL, hyperparameters={"source": self.sizes.source}))
        return str(run["version"])

    def serve_first(self, base: str) -> None:
        """The base is the first champion: there is nothing to compare it with."""
        if self.champion() is None:
            verdict = self.manager.post(
                self.at("/verdicts"), {"version": base, "outcome": "bootstrap", "reason": "The first version."}
            )
            self.move(base, verdict["id"], 0, "The first version.")

    def champion(self) -> JSON | None:
        model = self.manager.get(self.at(f"/models/{MODEL}"))
        return next((alias for alias in model["aliases"] if alias["name"] == "champion"), None)

    def move(self, version: str, verdict: str, generation: int, reason: str) -> None:
        body = {"version": version, "verdict": verdict, "expected_generation": generation, "reason": reason}
        self.manager.post(self.at(f"/models/{MODEL}/aliases/champion:move"), body)

    def generate(self, base: str, ids: list[str]) -> JSON:
        settings = {"samples_per_prompt": 2, "max_new_tokens": self.sizes.new_tokens, "temperature": 1.0, "top_p": 0.95}
        asked = {**settings, **self.sizes.of("generate")}
        return self.finish(self.start("generate", base=base, prompts=ids, hyperparameters=asked))

    def judge(self, job: str) -> None:
        """Pairs into the queue, answers out of it. A second time nothing is left to answer."""
        asked = {"question": QUESTION, "overlap": self.sizes.overlap, "from_job": job}
        made = self.manager.post(self.at("/tasks"), asked)["created"]
        self.say(f"    {made} new tasks, {self.sizes.overlap} judgements each; the rule: {NAMES[self.sizes.rule]}")
        self.answer()

    def answer(self) -> None:
        done = work_together(self.annotators, self.slug, self.sizes.rule, self.sizes.answer_seconds, self.over)
        self.say(f"    {done} answers by {len(self.annotators)} simulated annotators")

    def send_thumbs(self, job: str) -> None:
        """An application's end users like some of what they were given. Keyed: sent once, however often the demo starts."""
        rows = [row for row in self.manager.every(self.at("/completions"), job=job) if row["external_id"]]
        items = [
            {
                "completion": row["id"],
                "kind": "thumb",
                "value": "up" if positive(row["text"]) > 0.3 else "down",
                "user": user,
            }
            for at, row in enumerate(sorted(rows, key=lambda row: row["external_id"]))
            if at % 4 == 0 and (user := f"simulated user {at % 7}")
        ]
        application = Client(str(self.manager.http.base_url), self.over, self.token)
        sent = {row["completion"] for row in self.manager.every(self.at("/feedback"))}
        fresh = [item for item in items if item["completion"] not in sent]
        if fresh:
            application.post("/v1/feedback:batch", {"items": fresh}, key=f"demo-thumbs-{job}")

    def freeze(self) -> str:
        """The snapshot's id. Held-out prompts are its test part."""
        found = self.manager.every(self.at("/snapshots"))
        if found:
            return str(found[-1]["id"])
        accepted = self.manager.post(
            self.at("/snapshots"), {"name": "demo", "test_share": 0.0, "seed": 0}, key="demo-snapshot"
        )
        self.finish_job(accepted["job"])
        return str(accepted["snapshot"])

    def train(self, base: str, snapshot: str) -> tuple[str, str]:
        """SFT, then the reward model, then DPO from the SFT model: version ids of policy and of reward model."""
        parallel: JSON = {"snapshot": snapshot, "parallelism": self.sizes.parallelism}
        with self.phase("sft"):
            run = self.start("sft", base=base, model=MODEL, **parallel)
            reward_run = self.start("reward", base=base, model=JUDGE, **parallel)  # waits for the machine, not for us
            sft = self.finish(run)["version"]
        with self.phase("reward"):
            reward = self.finish(reward_run)["version"]
        with self.phase("dpo"):
            policy = self.finish(self.start("dpo", base=sft, model=MODEL, **parallel))["version"]
        return str(policy), str(reward)

    def evaluate(self, policy: str, base: str, reward: str, snapshot: str) -> JSON:
        asked = {
            "max_new_tokens": self.sizes.new_tokens,
            "temperature": 1.0,
            "top_p": 0.95,
            **self.sizes.of("evaluate"),
        }
        run = self.finish(
            self.start(
                "evaluate",
                base=policy,
                baseline=base,
                reward=reward,
                snapshot=snapshot,
                prompts="held_out",
                hyperparameters=asked,
            )
        )
        found = [row for row in self.manager.every(self.at("/evaluations")) if row["job"] == run["job"]]
        if not found:
            raise LoopFailed("The evaluation ended without a measurement.")
        return found[0]

    def promote(self, policy: str, evaluation: JSON) -> str:
        """Verdict, then the alias; the verdict's outcome. An undecided machine judge does not keep people from judging."""
        champion = self.champion()
        assert champion is not None, "the base was promoted first"
        if champion["version"] == policy:
            return "promoted earlier"
        verdict = self.manager.post(self.at("/verdicts"), {"evaluation": evaluation["id"]})
        if verdict["outcome"] != "better":
            self.say(f"    The reward model says: {verdict['outcome']}. Overridden, so that people may judge.")
            reason = f"The reward model says {verdict['outcome']}; the demo lets people judge."
            verdict = self.manager.post(
                self.at("/verdicts"), {"version": policy, "outcome": "override", "reason": reason}
            )
        self.move(policy, verdict["id"], champion["generation"], "Judged by the reward model on held-out prompts.")
        return str(verdict["outcome"])

    def deploy(self, policy: str) -> None:
        deployment = self.manager.post(self.at("/deployments"), {"version": policy, "backend": "transformers"})
        while deployment["state"] != "ready":
            if deployment["state"] in ("failed", "stopped"):
                raise LoopFailed(f"The model server did not start: {deployment['error']}")
            self.wait(POLL_SECONDS)
            deployment = self.manager.get(self.at(f"/deployments/{deployment['id']}"))

    def ask(self, gateway_url: str) -> JSON:
        """One question with the official OpenAI client, and a thumb on the answer."""
        from openai import APIError, OpenAI

        client = OpenAI(base_url=f"{gateway_url}/v1", api_key=self.token, max_retries=5, timeout=120)
        question = "Write one sentence about a lighthouse in spring."
        try:
            answer = client.chat.completions.create(
                model=f"{MODEL}@champion",
                messages=[{"role": "user", "content": question}],
                max_tokens=self.sizes.new_tokens,
                temperature=0.7,
            )
        except APIError as error:
            raise LoopFailed(f"The gateway did not answer: {error}") from error
        Client(gateway_url, self.over, self.token).post(
            "/v1/feedback",
            {"completion": answer.id, "kind": "thumb", "value": "up", "user": "demo"},
            key=f"thumb-{answer.id}",
        )
        return {"id": answer.id, "question": question, "text": answer.choices[0].message.content or ""}

    def wait_for_round(self, policy: str) -> JSON:
        """The evaluation by people that starts by itself when the champion moves, with its tasks in the queue."""
        while True:
            for row in self.manager.every(self.at("/evaluations")):
                if row["judge"] == "people" and row["version"] == policy:
                    return row
            self._stop_on_dead_generation()
            self.wait(POLL_SECONDS)

    def _stop_on_dead_generation(self) -> None:
        for job in self.manager.every(self.at("/jobs"), kind="generate", state="failed"):
            if str(job["spec"].get("purpose", "")).startswith("round"):
                raise LoopFailed(f"The new responses failed: {why(job)}")

    def judge_round(self, evaluation: JSON) -> JSON:
        """Until every pair has its judgements; the win rate that people gave."""
        self.answer()
        said = self._settled(evaluation)
        if said["win_rate"] is None:
            raise LoopFailed("Nobody judged the new model.")
        return dict(said["win_rate"])

    def _settled(self, evaluation: JSON) -> JSON:
        """The win rate once every answer is counted in it: answers are projected by the tick, moments after they are given."""
        path, steady, votes = self.at(f"/evaluations/{evaluation['id']}/win-rate"), 0, -1
        while True:
            said: JSON = self.manager.get(path)
            steady, votes = steady + 1 if said["votes"] == votes else 0, said["votes"]
            if votes >= evaluation["spec"]["pairs"] * self.sizes.overlap or steady > SETTLED_LOOKS:
                return said
            self.wait(POLL_SECONDS)

    def close(self, gateway_url: str) -> None:
        """The whole circle; what it found is in `outcome`."""
        with self.phase("base model"):
            training, held_out = self.import_prompts()
            base = self.import_base()
            self.serve_first(base)
        with self.phase("generate"):
            generated = self.generate(base, training + held_out)
        with self.phase("judge"):
            self.judge(generated["job"])
            self.send_thumbs(generated["job"])
        with self.phase("freeze"):
            snapshot = self.freeze()
        policy, reward = self.train(base, snapshot)
        with self.phase("evaluate"):
            evaluation = self.evaluate(policy, base, reward, snapshot)
        with self.phase("promote"):
            verdict = self.promote(policy, evaluation)
        with self.phase("deploy"):
            self.deploy(policy)
        with self.phase("ask"):
            answer = self.ask(gateway_url)
        with self.phase("new responses"):
            human = self.wait_for_round(policy)
        with self.phase("judge again"):
            rate = self.judge_round(human)
        self.outcome = {
            "base": base,
            "policy": policy,
            "snapshot": snapshot,
            "verdict": verdict,
            "evaluation": evaluation,
            "human": human["id"],
            "win_rate": rate,
            "answer": answer,
        }


__all__ = ["GUIDELINE", "MODEL", "Loop", "LoopFailed", "Refused", "Stopped"]
