"""What the words of the brief mean: frozen records and closed lists, and nothing that acts."""
