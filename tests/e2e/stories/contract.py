"""What is written down, judged by other people's programs."""

import re

from harness import ROOT, environment, expect, not_checked, run, story, tool, venv

# DESIGN's word for the unit; systemd counts exposure in tenths.
EXPOSURE_AT_MOST = 1.7


@story(seconds=120)
def contract():
    validate = venv("openapi") / "openapi-spec-validator"
    for file in ("openapi.yaml", "src/monitor/openapi.json"):
        expect((ROOT / file).exists(), f"{file} is there")
        code, out, err = run([validate, file], 60)
        expect(code == 0, f"openapi-spec-validator accepts {file}", out + err)


@story(seconds=60)
def unit_file():
    unit = ROOT / "systemd" / "main-node.service"
    code, out, err = run(
        [tool("systemd-analyze"), "security", "--offline=true", "--no-pager", unit], 30, env=environment()
    )
    exposure = re.search(r"Overall exposure level for \S+ ([\d.]+)", out)
    expect(exposure, "systemd-analyze judges the unit", out + err)
    expect(float(exposure[1]) <= EXPOSURE_AT_MOST, f"its exposure is at most {EXPOSURE_AT_MOST}: {exposure[1]}", out)
    text = unit.read_text()
    expect(not re.search(r"^ProtectClock=(yes|true)", text, re.M), "ProtectClock stays off: it blinds the clock check")
    expect("RestartPreventExitStatus=2" in text, "a configuration error is not restarted")
    not_checked("the unit under a running systemd (READY, watchdog, credentials): none runs here")
