"""The page: HTML from templates, its style and its script, under one Content-Security-Policy."""
