"""Exports of ticket and paging systems, mapped to labelled incidents by a file of the user's."""
