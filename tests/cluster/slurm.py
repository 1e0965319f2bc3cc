"""SLURM on this machine: one controller, one node, no accounts. It installs packages as root and writes /etc/slurm."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

PACKAGES = ("slurm-wlm", "munge")
CONF = """\
ClusterName=lmodp
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
KillWait=5
MinJobAge=3600
ReturnToService=2
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=60 State=UP
"""


def as_root(*command, **options):
    """Run a command as root."""
    sudo = [] if os.getuid() == 0 else ["sudo", "--preserve-env=DEBIAN_FRONTEND"]
    return subprocess.run([*sudo, *command], check=True, stdout=subprocess.DEVNULL, **options)


def start(folder):
    """Install SLURM if it is not there, and start it with a configuration of its own."""
    if not shutil.which("slurmctld", path=f"{os.environ['PATH']}:/usr/sbin"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        as_root("apt-get", "update", env=environment)
        as_root("apt-get", "install", "--yes", *PACKAGES, env=environment)
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    host = socket.gethostname().partition(".")[0]
    text = CONF.format(host=host, folder=folder, cores=os.cpu_count(), memory=int(0.9 * memory))
    as_root("mkdir", "-p", "/etc/slurm", "/run/munge")
    as_root("tee", "/etc/slurm/slurm.conf", input=text.encode())
    if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode:
        as_root("chown", "munge", "/run/munge")
        as_root("runuser", "-u", "munge", "--", "munged")
    for program in ("slurmctld", "slurmd"):
        as_root(program)
    until(lambda: "idle" in asked("sinfo", "--noheader"), 60)


def stop(folder):
    """End both daemons, and with them whatever still runs."""
    as_root("scancel", "--partition", "main")
    for name in ("slurmd", "slurmctld"):
        pid = (folder / f"{name}.pid").read_text().strip()
        as_root("kill", pid)
        until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), 60)


def asked(*command):
    """What a command of SLURM answers."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def jobs():
    """The state of every job that SLURM remembers, by number."""
    return dict(line.split() for line in asked("squeue", "--states=all", "--noheader", "--format=%i %T").splitlines())


def until(condition, seconds):
    """Wait for something to happen."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.5)
