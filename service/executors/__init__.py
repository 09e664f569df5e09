"""What can act, one file each."""
