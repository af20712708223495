"""What each command does; with ``cli`` the only place that prints."""
