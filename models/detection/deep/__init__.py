"""The deep tier: how new a value is beside the whole past of its series."""
