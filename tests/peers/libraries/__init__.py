"""One module a project: its ``SUITE`` says which tests of it run, and what they need."""
