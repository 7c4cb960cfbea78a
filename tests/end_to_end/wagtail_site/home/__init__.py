"""The site's only application."""
