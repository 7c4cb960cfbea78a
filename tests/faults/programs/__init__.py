"""Programs that send while something is wrong. Each prints, as JSON, what came of its sends; a test compares."""
