"""Commands that hand a sweep's results to others: a page, pictures, a server, files of other tools."""
