"""Policy, limits and the kill switch: what stands between a candidate and its execution."""
