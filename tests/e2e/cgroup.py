"""Cgroups, v1 or v2, that limit a child process; they need root."""

import contextlib
import os
import pathlib
import signal

from harness import Missing, wait_until

ROOT = pathlib.Path("/sys/fs/cgroup")


class Cgroup:
    """One group where there is v2, one for each controller of v1."""

    def __init__(self, groups, memory):
        self.groups, self.memory = groups, memory

    def inside(self, command):
        """The command, as a shell that moves itself into the group and becomes it."""
        join = "".join(f"echo $$ >{group}/cgroup.procs && " for group in self.groups)
        return ["sh", "-c", f'{join}exec "$@"', "sh", *command]

    def kills(self):
        """How many processes the kernel has killed because the memory of the group was used up."""
        file = next(path for name in ("memory.events", "memory.oom_control") if (path := self.memory / name).exists())
        counters = dict(line.split() for line in file.read_text().splitlines())
        return int(counters["oom_kill"])

    def peak(self):
        """The most memory that was in use at once, cached files included; None where the kernel does not say."""
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            if (self.memory / name).exists():
                return int((self.memory / name).read_text())
        return None


@contextlib.contextmanager
def limited(name, memory, cpu=None):
    """A `Cgroup` with so many bytes of memory and no swap; `cpu` is (quota, period) in microseconds.

    At the end the processes in it are killed. Raises `Missing` where there can be none."""
    name = f"main-node-{name}-{os.getpid()}"
    if (ROOT / "cgroup.controllers").exists():
        subtree = {ROOT: {"cgroup.subtree_control": "+cpu +memory"}}
        limits = {ROOT / name: {"memory.max": memory, "memory.swap.max": 0}}
        if cpu:
            limits[ROOT / name]["cpu.max"] = f"{cpu[0]} {cpu[1]}"
        holds_memory = ROOT / name
    elif (ROOT / "cpu").exists() and (ROOT / "memory").exists():
        subtree = {}
        holds_memory = ROOT / "memory" / name
        # In this order: the second may not be below the first.
        limits = {holds_memory: {"memory.limit_in_bytes": memory, "memory.memsw.limit_in_bytes": memory}}
        if cpu:
            limits[ROOT / "cpu" / name] = {"cpu.cfs_period_us": cpu[1], "cpu.cfs_quota_us": cpu[0]}
    else:
        raise Missing("there is no cgroup with cpu and memory below /sys/fs/cgroup")
    # Kernels without swap accounting have none.
    optional = {"memory.swap.max", "memory.memsw.limit_in_bytes"}
    try:
        try:
            for group, files in (subtree | limits).items():
                group.mkdir(exist_ok=True)
                for file, value in files.items():
                    if file not in optional or (group / file).exists():
                        (group / file).write_text(str(value))
        except OSError as error:
            raise Missing(f"cannot create a cgroup with limits: {error.strerror}") from error
        yield Cgroup(list(limits), holds_memory)
    finally:
        for group in limits:
            with contextlib.suppress(OSError):
                remove(group)


def remove(group):
    """Kills what is left in the group, and removes it."""
    def is_empty():
        left = (group / "cgroup.procs").read_text().split()
        for pid in map(int, left):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    wait_until(is_empty, 10, f"{group} is empty")
    group.rmdir()
