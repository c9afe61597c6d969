"""The kinds of charts: `chart` of each module makes a sweep's chart."""
