"""Looks for known vulnerabilities of what is installed: `make audit`.

Needs the network. Where the advisories can't be reached, it says so, and that is no failure: a
check that fails on a train is one that is switched off.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

TIMEOUT_S = 120
COMMAND = (
    sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off",
    "--skip-editable", "--timeout", "15",
)  # fmt: skip


def main() -> int:
    """Return the exit status: 1 if something is vulnerable."""
    try:
        done = subprocess.run(
            COMMAND, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        packages = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return not_audited(f"no answer in {TIMEOUT_S} s")
    except ValueError:
        return not_audited(done.stderr.strip().rpartition("\n")[2])
    audited = [one for one in packages if "skip_reason" not in one]
    if not audited:
        return not_audited("it knows none of the packages")
    return report(audited, len(packages))


def not_audited(why: str) -> int:
    """Say that nothing is known."""
    print(f"audit: the advisory service can't be reached, so nothing was audited: {why}")
    return 0


def report(audited: list[dict[str, Any]], installed: int) -> int:
    """Say what is vulnerable, and since when it is not."""
    vulnerable = [one for one in audited if one["vulns"]]
    for package in vulnerable:
        for found in package["vulns"]:
            mended = ", ".join(found["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {found['id']}, mended in {mended}")
    print(f"audit: {len(vulnerable)} of {len(audited)} packages have known vulnerabilities")
    if len(audited) < installed:
        print(f"audit: {installed - len(audited)} are not known to the advisory service")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main())
