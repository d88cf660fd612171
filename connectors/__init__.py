"""The ways in. Each file turns the outside into submissions and hands them to `accept`; each also reads back what it once took in."""
