"""The fast tier over a simulated fleet: false alarms in health, and injected faults."""
