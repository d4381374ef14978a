"""Stands in, in the browser, for the backend of notebooks."""
