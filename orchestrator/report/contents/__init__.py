"""What the sections of a report say, from a sweep: text, numbers and tables, no markup."""
