"""What stages work out about documents: groups, figures, similarity, and selections not fetched yet."""
