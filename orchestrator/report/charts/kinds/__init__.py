"""The kinds of charts: each module has `chart` (or `charts`), which says what a snapshot gives to draw, or nothing."""
