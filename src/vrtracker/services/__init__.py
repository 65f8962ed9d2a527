"""What can be done with a lab's records: one transaction a call."""
