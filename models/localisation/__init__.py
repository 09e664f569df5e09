"""Incident and topology in, ranked culprits out."""

from models.localisation.culprits import localise as localise
