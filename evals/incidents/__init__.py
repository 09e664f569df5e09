"""Incidents of the past with the truth about them: their format, their figures, what would have been done."""
