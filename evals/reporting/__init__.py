"""The report of all suites: one HTML file for people, with its plots inside, that loads nothing from anywhere."""
