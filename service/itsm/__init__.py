"""Ticket and paging systems, one file each."""
