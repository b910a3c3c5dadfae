"""Runs stories, each in a process of its own with a time limit, and prints their results.

Used by tests/e2e/run and tests/machine/run.
"""

import os
import signal
import subprocess
import sys
import time

import harness

EXIT_NOT_CHECKED = 3


def run_with_timeout(command, seconds, output, environment=None):
    """(exit code, seconds) of a story, in a process group that is killed at the end."""
    start = time.monotonic()
    child = subprocess.Popen(
        command, cwd=harness.ROOT, start_new_session=True, stdout=output, stderr=output, env=environment
    )
    try:
        code = child.wait(seconds)
    except subprocess.TimeoutExpired:
        line = f"  FAILED timeout after {seconds} s\n".encode()
        (output or sys.stdout.buffer).write(line)
        (output or sys.stdout.buffer).flush()
        code = 1
    except KeyboardInterrupt:
        code = 130
    finally:
        # Only this story is in the group: start_new_session made it.
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
    return code, time.monotonic() - start


def run_story(name):
    try:
        harness.STORIES[name].function()
    except harness.Missing as missing:
        harness.not_checked(f"story {name}: {missing}")
        return EXIT_NOT_CHECKED
    except harness.Failed as failure:
        print(f"  FAILED {failure}", flush=True)
        return 1
    return 0


def print_summary(suite, results):
    """Prints the results; gives the exit code."""
    labels = {0: "ok", EXIT_NOT_CHECKED: "NOT CHECKED"}
    print()
    for name, code, seconds in results:
        print(f"  {labels.get(code, 'FAILED'):12} {seconds:6.1f} s  {name}")
    failed = sum(code not in labels for _, code, _ in results)
    passed = sum(code == 0 for _, code, _ in results)
    not_checked = len(results) - passed - failed
    print(f"{suite} result: {'FAILED' if failed else 'ok'}. {passed} stories passed, {failed} failed, {not_checked} not checked")
    return 1 if failed else 0
