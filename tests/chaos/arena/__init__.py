"""What a run takes place in: the server, the workers, the orchestrators, and who watches them."""
