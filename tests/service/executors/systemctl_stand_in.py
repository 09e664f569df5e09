"""Keeps units as systemd does, as far as `service.executors.systemd` looks: their states, and an id for each start.

`units.json` beside it holds the units; `calls` gets every argument list and the environment's names. What a unit says
under `mood` is how it takes a start: `fine`, `dies`, `hangs`, `denied`, `again` (systemd starts it anew).
"""

import json
import os
import sys
import time
import uuid
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> int:
    with (FOLDER / "calls").open("a") as calls:
        calls.write(json.dumps({"argv": sys.argv[1:], "environment": sorted(os.environ)}) + "\n")
    units = json.loads((FOLDER / "units.json").read_text())
    words = [each for each in sys.argv[1:] if not each.startswith("-")]
    verb, name = words
    unit = units.get(name, {"LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead"})
    if verb == "show":
        shown = {"Id": name, "LoadState": "loaded", "MainPID": "0", "InvocationID": "", "Result": "success", **unit}
        wanted = next(each for each in sys.argv if each.startswith("--property=")).partition("=")[2].split(",")
        print("\n".join(f"{key}={shown[key]}" for key in wanted))
        return 0
    code = change(verb, name, unit)
    (FOLDER / "units.json").write_text(json.dumps({**units, name: unit}))
    return code


def change(verb: str, name: str, unit: dict) -> int:
    mood = unit.get("mood", "fine")
    if mood == "denied":
        print(f"Failed to {verb} {name}: Access denied", file=sys.stderr)
        return 4
    if verb in ("stop", "restart"):
        unit |= {"ActiveState": "inactive", "SubState": "dead", "MainPID": "0"}
    if verb in ("start", "restart") and unit["ActiveState"] != "active":
        unit |= {
            "ActiveState": "active",
            "SubState": "running",
            "MainPID": str(os.getpid()),
            "InvocationID": uuid.uuid4().hex,
        }
    if mood == "hangs":
        time.sleep(60)
    if mood == "dies":
        unit |= {"ActiveState": "failed", "SubState": "failed", "MainPID": "0", "Result": "exit-code"}
        print(f"Job for {name} failed because the control process exited with error code.", file=sys.stderr)
        return 1
    if mood == "again":
        unit |= {"ActiveState": "activating", "SubState": "auto-restart", "MainPID": "0", "Result": "exit-code"}
    return 0


if __name__ == "__main__":
    sys.exit(main())
