"""The area of actors: all of them, a page each, and a calendar feed each."""
