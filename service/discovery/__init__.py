"""Who calls whom, found in traces and in metrics of traffic, beside what the topology file says."""
