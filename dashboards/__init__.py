"""What to look at: configurations and dashboards for the backends that heliograph's telemetry goes to."""
