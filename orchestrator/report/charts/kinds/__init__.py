"""The kinds of charts: each module has `chart` (or `charts`), which says what a sweep gives to draw, or nothing."""
