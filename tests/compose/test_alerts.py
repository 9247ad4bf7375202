"""The alert rules and their scenarios, by promtool itself: the one on the PATH, or the one in Prometheus' image."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RULES = Path(__file__).parents[2] / "deploy" / "prometheus"
IMAGE = os.environ.get("PROMETHEUS_IMAGE", "prom/prometheus:v2.53.3")


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run promtool beside the rules; fails where it cannot be had."""
    if shutil.which("promtool"):
        command = ["promtool"]
    elif _is_there(IMAGE):
        mount = f"type=bind,source={RULES},target=/rules,readonly"
        command = ["docker", "run", "--rm", "--network=none", "--mount", mount, "--workdir=/rules"]
        command += ["--entrypoint=promtool", IMAGE]
    else:
        line = f"this test needs promtool (Debian: apt install prometheus) or a Docker engine with the image {IMAGE}"
        raise pytest.fail.Exception(line, pytrace=False)
    return subprocess.run([*command, *arguments], cwd=RULES, capture_output=True, text=True, timeout=100, check=False)


def _is_there(image: str) -> bool:
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "image", "inspect", image], capture_output=True, timeout=60, check=False)
    return asked.returncode == 0


def test_prometheus_takes_its_configuration_and_rules() -> None:
    checked = promtool("check", "config", "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_fires_in_its_scenario_and_none_on_a_good_day() -> None:
    tried = promtool("test", "rules", "alerts_test.yml")
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert "SUCCESS" in tried.stdout + tried.stderr
