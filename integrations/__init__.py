"""What is connected: integrations, and the points that say what may be connected where."""
