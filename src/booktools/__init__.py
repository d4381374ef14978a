"""What the build of the book needs and no chapter's mathematics does."""
