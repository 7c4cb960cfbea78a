"""What several tests need: an observer that keeps notes, in-memory telemetry, a small Django application."""
