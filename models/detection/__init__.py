"""Samples in, anomalies out."""
