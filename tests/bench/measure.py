"""What benchmarks measure of a process, and how they print it."""

import contextlib
import pathlib
import time


def print_result(what, ours, goal, baseline):
    print(f"  {what:44} {ours:>22}   goal {goal:12} {baseline}", flush=True)


def ms(seconds):
    return f"{seconds * 1000:.1f} ms"


def growth(measure, pid, seconds):
    """How much `measure` grows in a second."""
    before = measure(pid)
    time.sleep(seconds)
    return (measure(pid) - before) / seconds


def wakeups(pid):
    """Context switches of all threads so far."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            rows = (row.split() for row in (task / "status").read_text().splitlines() if "ctxt_switches" in row)
            total += sum(int(row[1]) for row in rows)
    return total


def cpu_seconds(pid):
    """CPU time of all threads so far, ended ones included, to the nanosecond: clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


def memory_of(pid):
    words = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status") if ":" in line)
    return tuple(int(words[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))


def mb(size):
    return f"{size / 1e6:.1f} MB"


def proportional_memory(pid):
    """Resident memory in bytes with shared pages counted in proportion (PSS)."""
    rows = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:"))


def written(pid):
    """(bytes given to write(2) for files, bytes that go to the disk) so far."""
    rows = dict(row.split(": ") for row in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(rows["wchar"]), int(rows["write_bytes"])
