"""What is said about a dispatch: spans, metrics and logs, made from facts. Listens to fanout."""
