"""What several kinds of charts are made of: scales, rows of dots, and the specification with its data."""
