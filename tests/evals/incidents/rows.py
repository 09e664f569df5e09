def row(identifier, alert, gold, *, text="", telemetry=None, **more):
    """A labelled incident as a file has it."""
    labels = {"service": "shop", "process": "shop", "environment": "prod"}
    signals = [{"kind": "alert", "name": alert, "labels": labels, "text": text, "at": "2026-01-31T12:00:05Z"}]
    series = [
        {"labels": {"__name__": name}, "at": [1769860800, 1769860805, 1769860810], "values": values}
        for name, values in (telemetry or {}).items()
    ]
    return {
        "id": identifier, "title": text or alert, "labels": labels, "signals": signals, "gold": gold,
        "started_at": "2026-01-31T12:00:00Z", "telemetry": {"series": series}, **more,
    }  # fmt: skip
