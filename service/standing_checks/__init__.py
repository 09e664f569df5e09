"""Standing checks: rules of an organisation (limits, expiry, drift) that are measured on a schedule."""
