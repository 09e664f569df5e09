"""A subset of PromQL, evaluated over embedded samples."""
