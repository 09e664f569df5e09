"""Suture's settings for a sandbox: what an operator would write for it, and nothing that tells of a fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from evals.sandbox.layout import FRONT_DOOR, POOL_HEADER, SERVER_NAME, VALID_DAYS, VOLUMES, WORKERS, Layout
from runbooks import LIBRARY

ENVIRONMENT = "sandbox"
POLICIES = Path(__file__).resolve().parent / "policies"
"""Permits what the sandbox's own executors can do, and nothing else."""
RUNBOOKS = Path(__file__).resolve().parent / "runbooks"
"""What only the sandbox has; beside the library."""
CAUSES = Path(__file__).resolve().parent / "causes"
"""One symptom, three causes: read beside those where the symptom is played (`faults_checkouts`)."""
SCRAPED = {
    "shop": {"service": "shop", "process": "shop"},
    "shop-standby": {"service": "shop", "process": "shop-standby"},
    "proxy": {"service": "proxy", "process": "proxy"},
    "db-exporter": {"service": "orders-db", "process": "postgres"},
    "loadgen": {"service": "shop", "process": "loadgen"},
}
"""The labels of each program's series, `environment` apart."""
WARMUP = 30
"""Ticks (seconds here) of a series before the detector scores it."""
WARMUP_TICKS = 45
"""Ticks until every series, those that come with the first requests too, has had that."""
_RATES = {"rate_window": "10s"}
"""Runbooks of the library take rates over this long: ten scrapes, so that a recovery shows soon."""
TOPOLOGY = {
    "services": {
        "proxy": {
            "depends_on": ["shop"],
            "environment": ENVIRONMENT,
            "labels": {
                "process": "proxy",
                "certificate": "shop",
                "domain": SERVER_NAME,
                "expiry_metric": "proxy_certificate_not_after_seconds",
                "tls_metric": "proxy_tls_ready",
                **_RATES,
            },
        },
        "shop": {
            "depends_on": ["orders-db"],
            "environment": ENVIRONMENT,
            "labels": {
                "process": "shop",
                "router": "shop",
                "standby_process": "shop-standby",
                "release_program": "shop-release",
                "latency_objective": "0.05",
                "scale_program": "shop-workers",
                "workers_metric": "shop_workers",
                "utilisation_metric": "shop_worker_utilisation",
                "workers": str(WORKERS),
                "workers_at_peak": "3",
                **_RATES,
            },
        },
        "orders-db": {"environment": ENVIRONMENT, "labels": {"process": "postgres", **_RATES}},
    }
}


def write_settings(layout: Layout, **changes: Any) -> Path:
    """Write `topology.yaml` and `suture.yaml` into the sandbox's folder; SUTURE_CONFIG is to name the latter.

    `changes` replace settings by their names, for example `mode="approve"`. Returns the path of `suture.yaml`.
    """
    topology = layout.folder / "topology.yaml"
    topology.write_text(yaml.safe_dump(TOPOLOGY, sort_keys=False))
    settings = _settings(layout, topology) | changes
    path = layout.folder / "suture.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


def scraped(layout: Layout) -> list[dict[str, Any]]:
    """The scrape targets of the settings."""
    return [
        {"url": layout.url(program), "labels": {**labels, "environment": ENVIRONMENT}}
        for program, labels in SCRAPED.items()
    ]


def _settings(layout: Layout, topology: Path) -> dict[str, Any]:
    return {
        "state_dir": str(layout.folder / "state"),
        "topology": str(topology),
        "scrape": scraped(layout),
        "scrape_interval": "1s",
        "retention": "1h",
        "detector": {"name": "lockstep", "config": {"warmup": WARMUP}},
        # A minute without a new signal separates two incidents: nobody wants to watch for five.
        "group_window": "60s",
        "resolve_after": "60s",
        "runbooks": [str(LIBRARY), str(RUNBOOKS)],
        "policies": str(POLICIES),
        "modes": {ENVIRONMENT: "auto"},
        # Nothing here is anybody's: an action need not earn it first.
        "autonomy": {"starts": {ENVIRONMENT: "auto"}},
        "executors": _executors(layout),
    }


def _executors(layout: Layout) -> dict[str, Any]:
    """One section each. What is not listed here, no runbook can touch."""
    reload = {"signal": "HUP", "pid_file": str(layout.proxy_pid)}
    return {
        "process": {
            "servers": {"default": {"url": layout.supervisor_url}},
            "allow": ["shop", "shop-standby", "proxy", "postgres"],
        },
        "script": {
            "programs": {
                "shop-release": _script(layout, "shop-release", r"v[0-9]+|stable|previous"),
                "shop-workers": _script(layout, "shop-workers", r"[1-9]"),
                "db-volume": _script(layout, "db-volume", "|".join(VOLUMES)),
                "db-free-connections": _script(layout, "db-free-connections", "shop"),
            }
        },
        "traffic": {"routers": {"shop": _router(layout) | {"reload": reload}}},
        "certificate": {"certificates": {"shop": _certificate(layout) | {"reload": reload}}},
    }


def _script(layout: Layout, name: str, pattern: str) -> dict[str, Any]:
    return {"path": str(layout.script(name)), "args_pattern": pattern, "idempotent": True, "observe": ["--observe"]}


def _router(layout: Layout) -> dict[str, Any]:
    return {
        "kind": "json",
        "file": str(layout.pool_file),
        "pools": layout.pools,
        "status": {
            "url": f"https://{SERVER_NAME}:{layout.ports[FRONT_DOOR]}/healthz",
            "header": POOL_HEADER,
            "ca": str(layout.authority[0]),
        },
    }


def _certificate(layout: Layout) -> dict[str, Any]:
    certificate, key = layout.certificate
    ca, ca_key = layout.authority
    return {
        "certificate": str(certificate),
        "key": str(key),
        "names": [SERVER_NAME],
        "authority": {"kind": "local", "certificate": str(ca), "key": f"file:{ca_key}", "days": VALID_DAYS},
        "serves": layout.address(FRONT_DOOR),
        "ca": str(ca),
    }
