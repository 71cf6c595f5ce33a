"""Answers of the API as pages, for people who are signed in."""
