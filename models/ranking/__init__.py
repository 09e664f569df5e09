"""Evidence in, calibrated ranked candidates out."""
