"""What a program's signals did, collected while it runs and shown when it has ended."""
