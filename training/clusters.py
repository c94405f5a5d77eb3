"""Plans for other machines: hosts over ssh, Slurm, Kubernetes. Pure, like `training.plan`.

On each machine one agent (`training.engine.node`) starts the DeepSpeed launcher with `--no_ssh` and ends it, its whole process
group and nothing else, when the run is over or given up. DeepSpeed's own ssh launcher ends processes by name on every host, so
one cancelled run would end its neighbours. Here one process beside the supervisor (`training.follow`) submits, polls and cancels.

Shells and schedulers read these texts: every path and name is held to letters that no shell interprets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from training.engine.deepspeed_config import deepspeed_config
from training.engine.fields import SpecError, read_object, setting
from training.engine.methods import METHODS
from training.engine.spec import Spec
from training.plan import Launch, Place, deepspeed_argv, engine_argv, environment_of, gpus_per_machine, require_places

JSON = dict[str, Any]
PATH = re.compile(r"/[\w@+./-]*\Z", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9][\w.:-]*\Z", re.ASCII)
HOST = re.compile(r"(?:[a-z_][\w-]*@)?[A-Za-z0-9][A-Za-z0-9.:-]*\Z", re.ASCII)
SLOTS = re.compile(r"slots=[1-9][0-9]{0,3}\Z")
FOLLOW = "follow.json"
SSH = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3")


@dataclass(frozen=True)
class Hosts(Place):
    """Machines that this one reaches by ssh without a password. The first holds rank 0."""

    kind: str = setting("hosts", "Machines reached by ssh.", choices=("hosts",))
    hosts: list[str] = field(
        default_factory=list, metadata={"help": "Lines of a DeepSpeed host file: address slots=processes."}
    )
    ssh_config: str = setting("", "A file for ssh -F (port, key, user, jump host); empty: ssh's own.")
    interface: str = setting("", "Network interface between the hosts; empty: found by itself.")


@dataclass(frozen=True)
class Slurm(Place):
    """A Slurm cluster whose sbatch, scontrol and scancel run on this machine."""

    kind: str = setting("slurm", "A Slurm cluster.", choices=("slurm",))
    nodes: int = setting(1, "Machines.", minimum=1)
    partition: str = setting("", "Empty: the cluster's default.")
    account: str = setting("", "Empty: the user's default.")
    qos: str = setting("", "Empty: the user's default.")
    minutes: int = setting(0, "Longest time; 0: the partition's.", minimum=0)
    memory_mb: int = setting(0, "Memory on each machine; 0: the partition's default.", minimum=0)
    interface: str = setting("", "Network interface between the machines; empty: found by itself.")


@dataclass(frozen=True)
class Kubernetes(Place):
    """A Kubernetes cluster that kubectl on this machine may use. The run directory lies on the volume claim."""

    kind: str = setting("kubernetes", "A Kubernetes cluster.", choices=("kubernetes",))
    nodes: int = setting(1, "Pods, one on each machine.", minimum=1)
    image: str = setting("", "Container image with this release at `root` and `venv`.")
    claim: str = setting("", "Persistent volume claim that holds the run directories; ReadWriteMany for several pods.")
    mount: str = setting("", "Where the claim is mounted: a folder above the run directory.")
    namespace: str = setting("default", "Namespace.")
    context: str = setting("", "kubectl's context; empty: its current one.")
    service_account: str = setting("", "Empty: the namespace's default.")
    cpus: int = setting(0, "Cores requested for each pod; 0: a core for each thread of its processes.", minimum=0)
    memory_mb: int = setting(0, "Memory limit of each pod; 0: none.", minimum=0)


def plan_hosts(spec: Spec, target: JSON) -> Launch:
    place = read_object(Hosts, target, "target")
    slots = _slots(place)
    _require_safe(place, ssh_config=place.ssh_config, interface=place.interface)
    trained = METHODS[spec.method].is_trained
    if trained and sum(slots.values()) != spec.parallelism.world_size:
        wanted = f"must be {sum(slots.values())}, the slots of the target's hosts"
        raise SpecError({"parallelism.world_size": wanted})
    if trained and len(set(slots.values())) > 1 and place.gpus:
        raise SpecError({"target.hosts": "must have the same number of slots each where GPUs are used"})
    used = list(slots) if trained else list(slots)[:1]
    config = ("-F", place.ssh_config) if place.ssh_config else ()
    agent = ("env", f"PYTHONPATH={place.root}", *_agent(place))
    commands = [["ssh", *config, *SSH, host, "--", *agent, str(rank)] for rank, host in enumerate(used)]
    hostfile = "".join(f"{_address(host)} slots={slots[host]}\n" for host in used)
    follow = {
        "kind": "hosts",
        "commands": commands,
        "node": _node(spec, place, len(used), place.interface, watched=True),
    }
    return _launch(spec, place, follow, {"hostfile": hostfile} if trained else {})


def plan_slurm(spec: Spec, target: JSON) -> Launch:
    place = read_object(Slurm, target, "target")
    names = {"partition": place.partition, "account": place.account, "qos": place.qos, "interface": place.interface}
    _require_safe(place, **names)
    each = _processes(spec, place.nodes)
    gpus = gpus_per_machine(spec, place, place.nodes)
    options = {
        "job-name": f"plumbline-{_name(spec.run)}",
        "nodes": place.nodes,
        "ntasks-per-node": 1,
        "cpus-per-task": each * spec.parallelism.threads,
        "gpus-per-node": gpus or None,
        "mem": f"{place.memory_mb}M" if place.memory_mb else None,
        "time": place.minutes or None,
        "partition": place.partition or None,
        "account": place.account or None,
        "qos": place.qos or None,
        "output": f"{place.run_dir}/launcher.log",
        "open-mode": "append",
        "export": "NIL",
        "no-requeue": "",
    }
    head = [
        f"#SBATCH --{name}" + (f"={value}" if value != "" else "")
        for name, value in options.items()
        if value is not None
    ]
    body = [
        "set -euo pipefail",
        f"""scontrol show hostnames "$SLURM_JOB_NODELIST" | sed 's/$/ slots={each}/' > {place.run_dir}/hostfile""",
        f"export PYTHONPATH={place.root}",
        f"exec srun --export=ALL --kill-on-bad-exit=1 {' '.join(_agent(place))}",
    ]
    script = "\n".join(["#!/bin/bash", *head, *body]) + "\n"
    follow = {
        "kind": "slurm",
        "script": f"{place.run_dir}/slurm.sh",
        "node": _node(spec, place, place.nodes, place.interface, watched=False),
    }
    return _launch(spec, place, follow, {"slurm.sh": script})


def plan_kubernetes(spec: Spec, target: JSON) -> Launch:
    place = read_object(Kubernetes, target, "target")
    names = {"namespace": place.namespace, "context": place.context, "claim": place.claim}
    _require_safe(place, mount=place.mount, service_account=place.service_account, **names)
    missing = {f"target.{name}": "is required" for name in ("image", "claim", "mount") if not getattr(place, name)}
    if not missing and not f"{place.run_dir}/".startswith(f"{place.mount.rstrip('/')}/"):
        missing = {"target.mount": f"must lie above the run directory {place.run_dir}"}
    if missing:
        raise SpecError(missing)
    each = _processes(spec, place.nodes)
    name = f"plumbline-{_name(spec.run)}"
    hostfile = "".join(f"{name}-{rank}.{name} slots={each}\n" for rank in range(place.nodes))
    scope = ["kubectl", *(["--context", place.context] if place.context else []), "--namespace", place.namespace]
    follow = {
        "kind": "kubernetes",
        "kubectl": scope,
        "name": name,
        "manifest": f"{place.run_dir}/kubernetes.json",
        "node": {**_node(spec, place, place.nodes, "", watched=False), "log": f"{place.run_dir}/launcher.log"},
    }
    return _launch(spec, place, follow, {"hostfile": hostfile, "kubernetes.json": _manifest(spec, place, name, each)})


PLANS: dict[str, Callable[[Spec, JSON], Launch]] = {
    "hosts": plan_hosts,
    "slurm": plan_slurm,
    "kubernetes": plan_kubernetes,
}
SHAPES: dict[str, type[Place]] = {"hosts": Hosts, "slurm": Slurm, "kubernetes": Kubernetes}


def _launch(spec: Spec, place: Place, follow: JSON, files: JSON) -> Launch:
    """What runs beside the supervisor is the follower: it submits, polls and cancels, and needs no GPU."""
    argv = (f"{place.venv}/bin/python", "-m", "training.follow", place.run_dir)
    config = deepspeed_config(spec.parallelism.zero_stage) if METHODS[spec.method].is_trained else None
    environment = {"PYTHONPATH": place.root, "PYTHONUNBUFFERED": "1"}
    files = {**files, FOLLOW: follow, **({"ds_config.json": config} if config else {})}
    return Launch(argv, environment, follow["kind"], place.root, config, files)


def _agent(place: Place) -> tuple[str, ...]:
    return (f"{place.venv}/bin/python", "-m", "training.engine.node", place.run_dir)


def _node(spec: Spec, place: Place, machines: int, interface: str, *, watched: bool) -> JSON:
    """What the agent of each machine starts. It adds its own rank and the address of the first machine of the host file."""
    gpus = gpus_per_machine(spec, place, machines)
    environment = environment_of(spec, place, gpus)
    if interface:
        environment |= {"GLOO_SOCKET_IFNAME": interface, "NCCL_SOCKET_IFNAME": interface}
    argv = engine_argv(place)
    if METHODS[spec.method].is_trained:
        argv = deepspeed_argv(place, "--hostfile", f"{place.run_dir}/hostfile", "--no_ssh")
    return {"argv": list(argv), "environment": environment, "watched": watched}


def _manifest(spec: Spec, place: Kubernetes, name: str, processes: int) -> JSON:
    """A headless service, so that pods know each other by name, and an indexed job: its index is the machine's rank."""
    gpus = gpus_per_machine(spec, place, place.nodes)
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    if place.memory_mb:
        limits["memory"] = f"{place.memory_mb}Mi"
    cores = {"cpu": str(place.cpus or processes * spec.parallelism.threads)}
    container = {
        "name": "engine",
        "image": place.image,
        "command": list(_agent(place)),
        "env": [{"name": "PYTHONPATH", "value": place.root}],
        "resources": {"requests": cores, "limits": limits},
        "volumeMounts": [
            {"name": "runs", "mountPath": place.mount},
            {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108  the pod's own
        ],
    }
    pod = {
        "subdomain": name,
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [
            {"name": "runs", "persistentVolumeClaim": {"claimName": place.claim}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
        ],
        **({"serviceAccountName": place.service_account} if place.service_account else {}),
    }
    labels = {"app.kubernetes.io/name": "plumbline", "plumbline/run": _name(spec.run)}
    head = {"name": name, "namespace": place.namespace, "labels": labels}
    job = {
        "completions": place.nodes,
        "parallelism": place.nodes,
        "completionMode": "Indexed",
        "backoffLimit": 0,  # whether it goes on is the supervisor's to say: it knows the checkpoints
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    service = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {"batch.kubernetes.io/job-name": name},
    }
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": "v1", "kind": "Service", "metadata": head, "spec": service},
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": head, "spec": job},
        ],
    }


def _processes(spec: Spec, machines: int) -> int:
    """Processes on each machine."""
    if not METHODS[spec.method].is_trained and machines > 1:
        raise SpecError({"target.nodes": f"must be 1: {spec.method} runs in one process"})
    if spec.parallelism.world_size % machines:
        raise SpecError({"parallelism.world_size": f"must be a multiple of {machines}, the target's machines"})
    return spec.parallelism.world_size // machines


def _slots(place: Hosts) -> dict[str, int]:
    """Host → processes, in the order of the list."""
    found: dict[str, int] = {}
    for line in place.hosts:
        words = line.split() if isinstance(line, str) else []
        if len(words) != 2 or not HOST.match(words[0]) or not SLOTS.match(words[1]) or words[0] in found:
            problem = f"{line!r} is not `address slots=number`, each address once"
            raise SpecError({"target.hosts": problem})
        found[words[0]] = int(words[1].removeprefix("slots="))
    if not found:
        raise SpecError({"target.hosts": "must name a host"})
    return found


def _address(host: str) -> str:
    return host.rpartition("@")[2]


def _require_safe(place: Place, **names: str) -> None:
    require_places(place)
    paths = {name: getattr(place, name) for name in ("run_dir", "root", "venv", "var")}
    paths |= {name: names.pop(name) for name in ("ssh_config", "mount") if names.get(name)}
    wrong = [name for name, value in paths.items() if not PATH.match(value)]
    wrong += [name for name, value in names.items() if value and not NAME.match(value)]
    if wrong:
        allowed = "may hold letters, digits and _ . - only (paths also / @ +): a shell reads it"
        raise SpecError({f"target.{name}": allowed for name in wrong})


def _name(run: str) -> str:
    """The run's id as schedulers take names: lower case, no underscore."""
    return re.sub(r"[^a-z0-9-]", "-", run.lower())[:50].strip("-")
