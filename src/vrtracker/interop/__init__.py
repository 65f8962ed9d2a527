"""What the tracker offers in the words of other packages."""
