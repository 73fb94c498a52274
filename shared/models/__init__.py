"""The nouns of Kennel."""
