"""How a run is started on other machines, against golden values."""

from __future__ import annotations

from typing import Any

import pytest

from tests.training.test_plan import CPU_ENVIRONMENT, TARGET, spec
from training.engine.fields import SpecError
from training.plan import plan

PLACE = {name: value for name, value in TARGET.items() if name != "kind"}
HOSTS = {**PLACE, "kind": "hosts", "hosts": ["trainer@node-a slots=2", "10.0.0.2 slots=2"]}
SLURM = {**PLACE, "kind": "slurm", "nodes": 2, "partition": "gpu", "gpus": 2, "minutes": 90}
KUBERNETES = {
    **PLACE, "kind": "kubernetes", "nodes": 2, "gpus": 2, "image": "registry.example/plumbline:1", "claim": "runs",
    "mount": "/srv/runs", "namespace": "train", "context": "prod", "memory_mb": 4096,
}  # fmt: skip
LAUNCHER = [
    "/srv/plumbline/.venv/bin/deepspeed",
    *["--hostfile", "/srv/runs/run_1/hostfile", "--no_ssh", "--master_port", "29611"],
    *["--module", "training.engine", "/srv/runs/run_1"],
]
AGENT = ["/srv/plumbline/.venv/bin/python", "-m", "training.engine.node", "/srv/runs/run_1"]
GPU_ENVIRONMENT = {
    name: value for name, value in CPU_ENVIRONMENT.items() if name not in ("CUDA_VISIBLE_DEVICES", "DS_ACCELERATOR")
}


def four(**more: Any) -> dict[str, Any]:
    return spec("sft", world_size=4, zero_stage=2, **more)


def test_hosts_get_an_agent_each_over_ssh() -> None:
    launch = plan(four(), {**HOSTS, "ssh_config": "/srv/ssh/config", "interface": "eth1"})
    assert launch.argv == ("/srv/plumbline/.venv/bin/python", "-m", "training.follow", "/srv/runs/run_1")
    assert (launch.launcher, launch.environment) == (
        "hosts", {"PYTHONPATH": "/srv/plumbline", "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert launch.files["hostfile"] == "node-a slots=2\n10.0.0.2 slots=2\n"
    ssh = [
        *["ssh", "-F", "/srv/ssh/config", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20"],
        *["-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3"],
    ]
    agent = ["--", "env", "PYTHONPATH=/srv/plumbline", *AGENT]
    interfaces = {"GLOO_SOCKET_IFNAME": "eth1", "NCCL_SOCKET_IFNAME": "eth1"}
    assert launch.files["follow.json"] == {
        "kind": "hosts",
        "commands": [[*ssh, "trainer@node-a", *agent, "0"], [*ssh, "10.0.0.2", *agent, "1"]],
        "node": {"argv": LAUNCHER, "environment": {**CPU_ENVIRONMENT, **interfaces}, "watched": True},
    }
    assert launch.files["ds_config.json"]["zero_optimization"]["stage"] == 2


def test_slurm_gets_a_batch_script() -> None:
    launch = plan(four(threads=3), SLURM)
    assert launch.files["slurm.sh"] == (
        "#!/bin/bash\n"
        "#SBATCH --job-name=plumbline-run-1\n"
        "#SBATCH --nodes=2\n"
        "#SBATCH --ntasks-per-node=1\n"
        "#SBATCH --cpus-per-task=6\n"
        "#SBATCH --gpus-per-node=2\n"
        "#SBATCH --time=90\n"
        "#SBATCH --partition=gpu\n"
        "#SBATCH --output=/srv/runs/run_1/launcher.log\n"
        "#SBATCH --open-mode=append\n"
        "#SBATCH --export=NIL\n"
        "#SBATCH --no-requeue\n"
        "set -euo pipefail\n"
        """scontrol show hostnames "$SLURM_JOB_NODELIST" | sed 's/$/ slots=2/' > /srv/runs/run_1/hostfile\n"""
        "export PYTHONPATH=/srv/plumbline\n"
        "exec srun --export=ALL --kill-on-bad-exit=1 " + " ".join(AGENT) + "\n"
    )
    assert launch.files["follow.json"] == {
        "kind": "slurm",
        "script": "/srv/runs/run_1/slurm.sh",
        "node": {"argv": LAUNCHER, "environment": {**GPU_ENVIRONMENT, "OMP_NUM_THREADS": "3"}, "watched": False},
    }


def test_kubernetes_gets_an_indexed_job_and_names_for_its_pods() -> None:
    launch = plan(four(), KUBERNETES)
    labels = {"app.kubernetes.io/name": "plumbline", "plumbline/run": "run-1"}
    head = {"name": "plumbline-run-1", "namespace": "train", "labels": labels}
    pod = {
        "subdomain": "plumbline-run-1",
        "restartPolicy": "Never",
        "containers": [
            {
                "name": "engine",
                "image": "registry.example/plumbline:1",
                "command": AGENT,
                "env": [{"name": "PYTHONPATH", "value": "/srv/plumbline"}],
                "resources": {"requests": {"cpu": "2"}, "limits": {"nvidia.com/gpu": "2", "memory": "4096Mi"}},
                "volumeMounts": [
                    {"name": "runs", "mountPath": "/srv/runs"},
                    {"name": "shared-memory", "mountPath": "/dev/shm"},
                ],
            }
        ],
        "volumes": [
            {"name": "runs", "persistentVolumeClaim": {"claimName": "runs"}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
        ],
    }
    job = {
        "completions": 2,
        "parallelism": 2,
        "completionMode": "Indexed",
        "backoffLimit": 0,
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    service = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {"batch.kubernetes.io/job-name": "plumbline-run-1"},
    }
    assert launch.files["kubernetes.json"] == {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": "v1", "kind": "Service", "metadata": head, "spec": service},
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": head, "spec": job},
        ],
    }
    assert launch.files["hostfile"] == (
        "plumbline-run-1-0.plumbline-run-1 slots=2\nplumbline-run-1-1.plumbline-run-1 slots=2\n"
    )
    assert launch.files["follow.json"] == {
        "kind": "kubernetes",
        "kubectl": ["kubectl", "--context", "prod", "--namespace", "train"],
        "name": "plumbline-run-1",
        "manifest": "/srv/runs/run_1/kubernetes.json",
        "node": {
            "argv": LAUNCHER, "environment": GPU_ENVIRONMENT, "watched": False, "log": "/srv/runs/run_1/launcher.log",
        },
    }  # fmt: skip


def test_a_method_of_one_process_uses_one_machine() -> None:
    launch = plan(spec("generate"), HOSTS)
    follow = launch.files["follow.json"]
    assert len(follow["commands"]) == 1
    assert follow["node"]["argv"] == ["/srv/plumbline/.venv/bin/python", "-m", "training.engine", "/srv/runs/run_1"]
    assert "hostfile" not in launch.files
    assert launch.ds_config is None


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ({**HOSTS, "hosts": []}, "target.hosts"),
        ({**HOSTS, "hosts": ["a slots=4; reboot"]}, "target.hosts"),
        ({**HOSTS, "hosts": ["-oProxyCommand=x slots=4"]}, "target.hosts"),
        ({**HOSTS, "hosts": ["a slots=2", "a slots=2"]}, "target.hosts"),
        ({**HOSTS, "hosts": ["a slots=2"]}, "parallelism.world_size"),
        ({**HOSTS, "hosts": ["a slots=3", "b slots=1"], "gpus": 4}, "target.hosts"),
        ({**HOSTS, "run_dir": "/srv/$(reboot)"}, "target.run_dir"),
        ({**HOSTS, "run_dir": "/srv/runs\n"}, "target.run_dir"),
        ({**HOSTS, "ssh_config": "config"}, "target.ssh_config"),
        ({**SLURM, "nodes": 3}, "parallelism.world_size"),
        ({**SLURM, "gpus": 1}, "parallelism.world_size"),
        ({**SLURM, "partition": "gpu\n#SBATCH --uid=0"}, "target.partition"),
        ({**SLURM, "qos": "a b"}, "target.qos"),
        ({**KUBERNETES, "image": ""}, "target.image"),
        ({**KUBERNETES, "mount": "/data"}, "target.mount"),
        ({**KUBERNETES, "namespace": "--all"}, "target.namespace"),
        ({**KUBERNETES, "kind": "moon"}, "target.kind"),
        ({**SLURM, "image": "x"}, "target.image"),
    ],
)
def test_what_does_not_fit_or_a_shell_would_read_is_refused(target: dict[str, Any], field: str) -> None:
    with pytest.raises(SpecError) as caught:
        plan(four(), target)
    assert field in caught.value.problems
