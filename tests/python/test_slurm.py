"""The array job of scripts/README.md on a Slurm of our own: slurmctld and slurmd on loopback, in a temporary folder.

Needs root and Debian's slurm-wlm; exit status 77 says why it was skipped. MNV2_PROGRAM, MNV2_MAKE_MODEL and
MNV2_MAKE_IMAGE name the program and the tools that make a model and a JPEG.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import unittest

from support.readme import SCRIPTS_README, code_block
from support.recipes import RecipeCase

SKIPPED = 77
START_SECONDS = 60  # for the daemons to find each other
JOB_SECONDS = 300


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def configuration(folder):
    controller_port, node_port = free_ports(2)
    return f"""
ClusterName=test
SlurmctldHost={socket.gethostname()}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/none
CredType=cred/none
SlurmUser=root
SlurmdUser=root
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
NodeName=node0 NodeAddr=127.0.0.1 CPUs=8 State=UNKNOWN
PartitionName=all Nodes=node0 Default=YES MaxTime=INFINITE State=UP
"""


class Cluster:
    """A controller and a node, both in the foreground, so that they are ours to end."""

    def __init__(self, folder, environment):
        self.folder = folder
        self.environment = {**environment, "SLURM_CONF": str(folder / "slurm.conf")}
        self.daemons = []
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        (folder / "slurm.conf").write_text(configuration(folder))
        # Nothing here uses control groups, but slurmd wants to know of which kind they are.
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")

    def start(self):
        """Returns why it does not run, or None."""
        for command in (["slurmctld", "-D"], ["slurmd", "-D", "-N", "node0"]):
            with open(self.folder / f"{command[0]}.log", "wb") as log:
                self.daemons.append(subprocess.Popen([*command, "-f", self.environment["SLURM_CONF"]], env=self.environment,
                                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            for daemon in self.daemons:
                if daemon.poll() is not None:
                    return f"{daemon.args[0]} ended with status {daemon.returncode}\n{self.logs()}"
            state = subprocess.run(["sinfo", "-h", "-o", "%T"], env=self.environment, capture_output=True, text=True)
            if state.stdout.strip() == "idle":
                return None
            time.sleep(0.2)
        return f"no node is ready after {START_SECONDS} s (sinfo: {state.stdout}{state.stderr})\n{self.logs()}"

    def logs(self):
        return "".join(f"--- {path.name}\n{path.read_text(errors='replace')}" for path in sorted(self.folder.glob("*.log")))

    def stop(self):
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=30)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


class Slurm(RecipeCase):
    def test_an_array_job_gives_the_records_of_one_run(self):
        self.environment["PATH"] += ":/usr/sbin:/sbin"
        cluster = Cluster(self.folder / "slurm", self.environment)
        self.addCleanup(cluster.stop)
        failure = cluster.start()
        if failure:
            self.skipTest(f"Slurm does not start here: {failure}")
        self.environment = cluster.environment
        (self.folder / "classify.sbatch").write_text(code_block(SCRIPTS_README, "#SBATCH"))
        job = subprocess.run(["bash", "-c", code_block(SCRIPTS_README, "sbatch --wait")], cwd=self.folder, env=self.environment,
                             capture_output=True, text=True, timeout=JOB_SECONDS)
        said = job.stderr + "".join(p.read_text(errors="replace") for p in self.folder.glob("slurm-*.out"))
        self.assertEqual(job.returncode, 0, said + cluster.logs())
        shards = [(self.folder / f"shard-{i}.jsonl").read_bytes() for i in range(1, 9)]
        self.assertLess(max(map(len, shards)), len(self.whole))  # shared out
        self.assertEqual((self.folder / "all.jsonl").read_bytes(), self.whole)


if __name__ == "__main__":
    missing = [tool for tool in ("slurmctld", "slurmd", "sbatch") if not shutil.which(tool, path="/usr/sbin:/sbin:/usr/bin")]
    if missing or os.geteuid() != 0:
        print("SKIPPED: " + (f"no {', '.join(missing)} (Debian's package slurm-wlm)" if missing else "only root may start slurmd"))
        sys.exit(SKIPPED)
    unittest.main(verbosity=2, argv=sys.argv)
