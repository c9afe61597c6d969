"""The content of a report's sections: text, numbers and tables, no markup."""
