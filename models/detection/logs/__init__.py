"""Log lines in, templates out: counted as series of the detector, and a signal for an error that was never seen."""
