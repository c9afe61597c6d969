"""What several kinds of charts are made of: scales, bins, rows of dots, and the specification with its data."""
