"""The database's hardest tests, at length: a process killed 200 times while it writes, and
a thousand cards as a power cut leaves them. Run by cargo from the dev test binary."""

import re
import shutil

from harness import ROOT, Missing, clean_environment, expect, run, story

TESTS = {
    "what_was_committed_outlives_a_kill_at_any_moment": "MAIN_NODE_TEST_KILLS",
    "a_power_cut_at_any_moment_costs_no_committed_fetch": "MAIN_NODE_TEST_POWER_CUTS",
}
ROUNDS = {"MAIN_NODE_TEST_KILLS": "200", "MAIN_NODE_TEST_POWER_CUTS": "1000"}


@story(seconds=600)
def kills():
    if not shutil.which("cargo"):
        raise Missing("the tests are cargo's, and there is no cargo")
    test = ["cargo", "test", "--locked", "--bin", "main-node"]
    # Compiling is apart from the bound; where `make test` has just run there is none.
    code, out, err = run([*test, "--quiet", "--no-run"], 340)
    expect(code == 0, "the test program builds", out + err)

    code, out, err = run([*test, "--", *TESTS], 240, cwd=ROOT, env=clean_environment(**ROUNDS))
    summary = next((line for line in out.splitlines() if line.startswith("test result:")), "")
    print(f"        {summary or '(cargo gave no summary)'}", flush=True)
    for name, count in TESTS.items():
        passed = re.search(rf"^test \S*{name} \.\.\. ok$", out, re.MULTILINE)
        expect(passed, f"{name.replace('_', ' ')} ({ROUNDS[count]} times)", out + err)
    expect(code == 0 and summary.startswith(f"test result: ok. {len(TESTS)} passed"), "both, and nothing else, within 240 s", out + err)
