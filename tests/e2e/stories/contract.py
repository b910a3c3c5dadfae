"""Published files, checked by other vendors' validators: OpenAPI and the systemd unit."""

import re

from harness import ROOT, environment, expect, not_checked, run, story, tool, venv

# As `systemd-analyze security` counts it, from 0 to 10.
EXPOSURE_AT_MOST = 1.7


@story(seconds=120, alone=True)
def contract():
    validate = venv("openapi") / "openapi-spec-validator"
    for file in ("openapi.yaml", "src/monitor/openapi.json"):
        expect((ROOT / file).exists(), f"{file} exists")
        code, out, err = run([validate, file], 60)
        expect(code == 0, f"openapi-spec-validator accepts {file}", out + err)


@story(seconds=60)
def unit_file():
    unit = ROOT / "systemd" / "main-node.service"
    code, out, err = run(
        [tool("systemd-analyze"), "security", "--offline=true", "--no-pager", unit], 30, env=environment()
    )
    exposure = re.search(r"Overall exposure level for \S+ ([\d.]+)", out)
    expect(exposure, "systemd-analyze rates the unit", out + err)
    expect(float(exposure[1]) <= EXPOSURE_AT_MOST, f"its exposure level is at most {EXPOSURE_AT_MOST}: {exposure[1]}", out)
    text = unit.read_text()
    expect(not re.search(r"^ProtectClock=(yes|true)", text, re.M), "ProtectClock is off: it would forbid adjtimex, which the clock check needs")
    expect("RestartPreventExitStatus=2" in text, "a configuration error (exit 2) is not restarted")
    not_checked("the unit under a running systemd (READY, watchdog, credentials): none runs here")
