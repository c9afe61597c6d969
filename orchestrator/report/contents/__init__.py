"""What the sections of a report say, from a snapshot: text, numbers and tables, no markup."""
