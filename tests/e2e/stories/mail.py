"""Mail alerts over SMTP: `test-alert`, delivery and retries of `serve`, and the mail as a mail
program reads it. The cases are in mail_cases.py."""

import subprocess

from harness import ROOT, clean_environment, die_with_parent, expect, main_node, story, venv


def run_cases(file):
    """Runs a file of cases with the Python that has their packages."""
    python = venv("mail") / "python"
    environment = clean_environment(E2E_BINARY=str(main_node()), PYTHONDONTWRITEBYTECODE="1")
    cases = subprocess.Popen(
        [python, ROOT / "tests/e2e/stories" / file], env=environment, preexec_fn=die_with_parent
    )
    expect(cases.wait() == 0, f"all cases of {file} pass")


# The longest cases wait for a ping each minute, and for a reply within 120 s.
@story(seconds=240)
def mail():
    run_cases("mail_cases.py")
