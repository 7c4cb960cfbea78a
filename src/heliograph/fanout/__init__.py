"""One dispatch: who is called, how, and what came of it. Knows of no telemetry and no framework."""
