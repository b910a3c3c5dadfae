"""Crash safety of the database, with more rounds than `make test`: 200 processes killed while
they write, and 1,000 simulated power cuts. Runs cargo tests."""

import re
import shutil

from harness import ROOT, Missing, clean_environment, expect, run, story

TESTS = {
    "what_was_committed_outlives_a_kill_at_any_moment": "MAIN_NODE_TEST_KILLS",
    "a_power_cut_at_any_moment_costs_no_committed_fetch": "MAIN_NODE_TEST_POWER_CUTS",
}
ROUNDS = {"MAIN_NODE_TEST_KILLS": "200", "MAIN_NODE_TEST_POWER_CUTS": "1000"}


@story(seconds=600, alone=True)
def kills():
    if not shutil.which("cargo"):
        raise Missing("needs cargo")
    test = ["cargo", "test", "--locked", "--bin", "main-node"]
    # Compiled first, outside of the time limit for the tests.
    code, out, err = run([*test, "--quiet", "--no-run"], 340)
    expect(code == 0, "the test binary builds", out + err)

    code, out, err = run([*test, "--", *TESTS], 240, cwd=ROOT, env=clean_environment(**ROUNDS))
    summary = next((line for line in out.splitlines() if line.startswith("test result:")), "")
    print(f"        {summary or '(cargo gave no summary)'}", flush=True)
    for name, count in TESTS.items():
        passed = re.search(rf"^test \S*{name} \.\.\. ok$", out, re.MULTILINE)
        expect(passed, f"{name.replace('_', ' ')} ({ROUNDS[count]} times)", out + err)
    expect(code == 0 and summary.startswith(f"test result: ok. {len(TESTS)} passed"), "both tests pass within 240 s", out + err)
