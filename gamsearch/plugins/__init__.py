"""Extension points: the registries behind every name that a user can choose, and how plug-ins add to them. No torch."""
