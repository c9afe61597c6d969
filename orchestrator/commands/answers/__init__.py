"""Commands that answer questions about a sweep: they read its folder, and train nothing."""
