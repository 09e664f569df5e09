"""Service level objectives in an installation: the file, counting, judging, and the signals of it."""
