"""Alerts by mail against real SMTP servers: `test-alert`, `serve`, and the mail as a mail
program reads it. The cases are in mail_cases.py."""

import subprocess

from harness import ROOT, clean_environment, die_with_parent, expect, main_node, story, venv


# The longest case waits for a mail that is tried again after two failures.
@story(seconds=240)
def mail():
    python = venv("mail") / "python"
    environment = clean_environment(E2E_BINARY=str(main_node()), PYTHONDONTWRITEBYTECODE="1")
    cases = subprocess.Popen(
        [python, ROOT / "tests/e2e/stories/mail_cases.py"], env=environment, preexec_fn=die_with_parent
    )
    expect(cases.wait() == 0, "no case of the mail failed")
