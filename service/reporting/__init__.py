"""Reports: what is known of an incident after the event, and statistics over many. Facts only, nothing invented."""
