"""One shared network that holds every architecture of a space: trained once, it says what each placement gains."""
