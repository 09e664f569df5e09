"""The citation check: what a real small model says of labelled incidents, and if any unsupported quote is shown."""
