"""Past incidents through the whole flow in shadow: what autonomy would have done. Nothing is executed."""
