"""What commands share: parameters, the words of a specification, progress, results, how a command ends."""
