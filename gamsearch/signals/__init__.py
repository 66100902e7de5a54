"""What a process does when a signal asks it to stop."""
