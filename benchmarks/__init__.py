"""What signals cost, with heliograph and without: ``python -m benchmarks``, explained in docs/benchmarks.md."""
