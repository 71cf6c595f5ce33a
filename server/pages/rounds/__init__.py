"""Pages of reporting rounds: opened, followed, closed and corrected."""
