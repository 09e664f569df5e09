"""Localisation judged: PetShop's issues, perturbed and left out in turn."""
